"""A user's table with several labels, several targets, and columns of several kinds: what a net gets of it."""

import csv
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from sklearn import metrics as sk

from runner.build import build_data
from runner.config.compose import compose
from runner.config.inferred import settle
from runner.datamodules.base import DataModule
from runner.datamodules.parts.mixed import MixedRows
from runner.datamodules.parts.splits import Splits
from runner.datamodules.parts.tensors import ArrayRows
from runner.errors import UserError
from runner.inference.predictor import Predictor
from runner.inference.scoring import score_file
from runner.training.train import train

LINES = ["review,age,department,stars,tags,price"] + [
    f"a {word} dress number {n},{20 + n},{('Tops', 'Trend', '')[n % 3]},{n % 2},{('new;red', 'red', '')[n % 3]},{n / 2}"
    for n in range(40)
    for word in [("fine", "dull")[n % 2]]
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("shop.csv").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return tmp_path


def read(*overrides: str, model: str = "tabular") -> DataModule:
    cfg = compose([f"model={model}", "data=csv", "data.path=shop.csv", *overrides])
    settle(cfg.data)
    data = build_data(cfg)
    data.setup()
    data.facts = OmegaConf.to_container(cfg.data)
    return data


MIXED = ["data.text=review", "data.features=[age]", "data.categories=[department]", "data.label=stars"]


def test_columns_of_several_kinds_come_side_by_side(folder, caplog):
    with caplog.at_level(logging.INFO):
        data = read(*MIXED)
    assert "Read: the text of review, the numbers of age, the categories of department; as label stars" in caplog.text
    assert "Left out: tags, price" in caplog.text
    assert (data.facts["asks"], data.facts["in_features"], data.facts["category_sizes"]) == ("mixed", 1, [3])
    batch = data.train.gather(torch.arange(5), torch.Generator())
    assert batch._fields == ("numbers", "category_1", "tokens", "target")
    rows = data.raw("train", 5)
    for one, other in zip(batch, data.encode(rows), strict=False):
        assert torch.equal(one, other)
    ages = np.array([row["age"] for row in data.raw("train")])
    torch.testing.assert_close(
        batch.numbers[:, 0], torch.tensor((ages[:5] - ages.mean()) / ages.std(), dtype=torch.float32)
    )
    names = ["", "Tops", "Trend"]
    assert [names[number] for number in batch.category_1] == [row["department"] for row in rows]
    never = rows[0] | {"department": "Shoes"}
    assert data.encode([never])[1].item() == 0
    again = DataModule()
    again.load_state(data.state())
    assert all(torch.equal(a, b) for a, b in zip(again.encode(rows), data.encode(rows), strict=True))


def test_categories_alone_and_numbers_with_categories(folder):
    data = read("data.categories=[department]", "data.features=[]", "data.label=stars")
    assert data.train.gather(torch.arange(2), torch.Generator())._fields == ("category_1", "target")
    data = read("data.categories=[department]", "data.label=stars")
    assert list(data.columns) == ["age", "price", "department"] and data.facts["in_features"] == 2


def test_rows_are_as_many_when_a_text_has_no_column_beside_it():
    arrays = ArrayRows({}, np.zeros(4), Splits(np.arange(2), np.array([2]), np.array([3])))
    texts = SimpleNamespace(raw=lambda part, limit: [{"review": "fine"}, {"review": "dull"}][:limit])
    assert arrays.raw("train", 1) == [{}]
    assert MixedRows(arrays, texts).raw("train") == [{"review": "fine"}, {"review": "dull"}]


def test_the_declared_sizes_of_categories_need_not_be_smaller(folder):
    with pytest.raises(UserError, match=r"data.category_sizes=\[2\] is declared, but the table has \[3\]"):
        read(*MIXED, "data.category_sizes=[2]")


def test_several_labels_in_a_cell(folder):
    labels = ["data.text=review", "data.label=tags", 'data.label_separator=";"', "task=multi_label"]
    data = read(*labels, model="textcnn")
    assert data.class_names == ["new", "red"] and data.facts["num_labels"] == 2
    batch = data.train.gather(torch.arange(3), torch.Generator())
    said = {1: [1.0, 1.0], 2: [0.0, 1.0], 0: [0.0, 0.0]}
    numbers = [int(row["review"].split()[-1]) for row in data.raw("train", 3)]
    assert batch.target.tolist() == [said[(number + 1) % 3] for number in numbers]
    assert data.targets.read({"tags": "red; new"}, "row 1") == [1.0, 1.0]
    with pytest.raises(UserError, match=r'"blue" is not a label of this model'):
        data.targets.read({"tags": "blue"}, "row 1")
    error, truth = data.targets.error({"labels": "new"}, [0.0, 1.0])
    assert error == 2 and truth == {"truth": "red"}


def test_several_numbers_to_predict(folder):
    data = read("data.features=[age]", "data.label=[price,stars]", "task=regression", model="mlp")
    assert data.target_names == ["price", "stars"] and data.targets_of("train").shape == (32, 2)
    assert data.facts["num_targets"] == 2


def test_the_order_of_classes_may_be_given(folder):
    data = read("data.features=[age]", "data.label=stars", "data.class_order=[1,0]", model="mlp")
    assert data.class_names == ["1", "0"]


def written_rows(path: str | Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_metrics_of_two_texts_in_a_row_are_those_of_scikit_learn(folder):
    words, classes = ["fine", "dull", "long"], ["yes", "no", "maybe"]  # the second text tells the class, often
    lines = [f"film number {n},so {words[n % 3]},{classes[(n + (n % 5 == 0)) % 3]}" for n in range(60)]
    Path("pairs.csv").write_text("\n".join(["one,other,same", *lines]) + "\n", encoding="utf-8")
    typed = ["data.path=pairs.csv", "data.text=one", "data.text_pair=other", "data.label=same", "data.max_len=12"]
    sizes = ["model.embed_dim=8", "model.num_heads=2", "data.batch_size=8", "trainer.max_epochs=6", "optim.lr=0.01"]
    cfg = compose(["model=bert", "data=csv", "trainer.accelerator=cpu", "+data.test_share=0.3", *typed, *sizes])
    settle(cfg.data)
    OmegaConf.resolve(cfg)
    reported = train(cfg, folder / "run")
    rows = written_rows(folder / "run" / "files" / "test_rows.csv")
    scored, *_ = score_file(Predictor(folder / "run" / "model"), Path("pairs.csv"), None, Path("out.csv"))
    told = {name.removeprefix("test/"): value for name, value in reported.items()}
    for metrics, written, count in ((told, rows, len(rows)), (scored, written_rows("out.csv"), 60)):
        truth, said = ([row[name] for row in written] for name in ("truth", "label"))
        assert len(written) == count and len(set(said)) > 1 and truth != said
        assert metrics["accuracy"] == pytest.approx(sk.accuracy_score(truth, said), rel=1e-5)
        assert metrics["f1_macro"] == pytest.approx(sk.f1_score(truth, said, average="macro"), rel=1e-5)


@pytest.mark.parametrize("kind", ["labels", "mixed"])
def test_metrics_are_those_of_scikit_learn_on_what_is_written(folder, kind):
    typed = {
        "labels": ["data.text=review", "data.label=tags", 'data.label_separator=";"', "task=multi_label"],
        "mixed": [*MIXED, "model.text_encoder=mean"],
    }[kind]
    sizes = ["model.embed_dim=8", "model.text_dim=8", "model.hidden_dims=[8]", "trainer.max_epochs=4", "optim.lr=0.05"]
    cfg = compose(["model=tabular", "data=csv", "data.path=shop.csv", "trainer.accelerator=cpu", *sizes, *typed])
    settle(cfg.data)
    OmegaConf.resolve(cfg)
    train(cfg, folder / "run")
    metrics, count, _ = score_file(Predictor(folder / "run" / "model"), Path("shop.csv"), None, Path("out.csv"))
    written = written_rows("out.csv")
    assert count == len(written) == 40
    if kind == "mixed":
        truth, said = ([row[name] for row in written] for name in ("truth", "label"))
        assert metrics["f1_macro"] == pytest.approx(sk.f1_score(truth, said, average="macro"), rel=1e-5)
        assert metrics["accuracy"] == pytest.approx(sk.accuracy_score(truth, said), rel=1e-5)
        return
    truth, said = (
        np.array([[name in row[column].split(";") for name in ("new", "red")] for row in written])
        for column in ("truth", "labels")
    )
    chances = np.array([[float(row[f"probability_{name}"]) for name in ("new", "red")] for row in written])
    assert said.any() and (said == (chances > 0.5)).all()
    assert metrics["f1_micro"] == pytest.approx(sk.f1_score(truth, said, average="micro"), rel=1e-5)
    assert metrics["f1_macro"] == pytest.approx(sk.f1_score(truth, said, average="macro"), rel=1e-5)
    assert metrics["mean_average_precision"] == pytest.approx(sk.average_precision_score(truth, chances), rel=1e-5)
