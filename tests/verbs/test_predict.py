"""Using a model: files of every kind and size, cut off and gone on with, and the same answers wherever it is asked."""

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from recorded_runs import inside

from runner.errors import UserError
from runner.inference.predictor import BATCH, Predictor, cleaned
from runner.tracking.find import find_run
from runner.verbs import evaluate
from runner.verbs import predict as answer

PREDICT = dict.fromkeys(("run", "input", "output", "resume", "allow", "tracking.uri"))
EVALUATE = dict.fromkeys(("run", "input", "output", "label", "allow", "tracking.uri")) | {"split": "test"}
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def bundle(recorded, name: str) -> Path:
    folder, ids = recorded
    return find_run(None, folder / "outputs", ids[name]).folder / "model"


def flowers(count: int) -> list[dict]:
    return [
        dict(zip(NAMES, (4 + n % 30 / 10, 2 + n % 7 / 5, 1 + n % 11 / 2, n % 5 / 2), strict=True)) for n in range(count)
    ]


def write_csv(path: Path, rows: list[dict], delimiter: str = ",") -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)
    return path


def predict(recorded, **settings) -> int:
    folder, ids = recorded
    settings["run"] = ids[settings["run"]]
    return answer.answer({**PREDICT, **{k: str(v) for k, v in settings.items()}}, {}, folder / "outputs")


def test_a_model_of_another_version_says_so(recorded, tmp_path: Path) -> None:
    shutil.copytree(bundle(recorded, "iris"), tmp_path / "model")
    config = tmp_path / "model" / "config.yaml"
    config.write_text(config.read_text().replace("hidden_dims", "layers"))
    with pytest.raises(UserError, match=r"does not fit this version .*'layers'"):
        Predictor(tmp_path / "model")


def test_every_kind_of_file_gives_the_same_answers(recorded, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = flowers(20)
    write_csv(tmp_path / "a.csv", rows)
    write_csv(tmp_path / "a.tsv", rows, "\t")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    expected = list(Predictor(bundle(recorded, "iris"))(rows))
    for ending in ("csv", "tsv", "json", "jsonl", "parquet"):
        predict(recorded, run="iris", input=tmp_path / f"a.{ending}", output=tmp_path / "out.jsonl")
        assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == expected
    predict(recorded, run="iris", input=tmp_path / "a.csv", output=tmp_path / "out.tsv")
    with open(tmp_path / "out.tsv", newline="") as file:
        again = [
            {k: v if k == "label" else float(v) for k, v in row.items()} for row in csv.DictReader(file, delimiter="\t")
        ]
    assert again == expected


def test_texts_and_standard_input(recorded, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "a.txt").write_text("a fine film\nso dull\n")
    predict(recorded, run="textcnn", input=tmp_path / "a.txt")
    from_file = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO('a fine film\n\n{"text": "so dull"}\n'))
    predict(recorded, run="textcnn")
    assert capsys.readouterr().out == from_file
    assert [json.loads(line)["label"] in ("negative", "positive") for line in from_file.splitlines()] == [True, True]


@pytest.mark.parametrize("name", ["textcnn", "iris", "boston", "csv", "tfidf"])
@pytest.mark.filterwarnings(
    "ignore:::mlflow", "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*type hint:UserWarning"
)
def test_mlflow_answers_the_same(recorded, name: str) -> None:
    """The model that the run has logged, loaded as anybody would, to the last digit."""
    import mlflow
    import pandas

    folder, ids = recorded
    predictor = Predictor(bundle(recorded, name))
    predictor.data.setup() if name != "csv" else None
    rows = (
        [{"review": f"fine {n} {'dull ' * (n % 9)}"} for n in range(300)]
        if name == "csv"
        else predictor.data.raw("test", 300)
    )
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'outputs' / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model(f"runs:/{ids[name]}/model")
    assert model.predict(pandas.DataFrame(rows)).to_dict("records") == list(predictor(rows))
    with pytest.raises(mlflow.MlflowException, match=r"empty|finite") as error:
        model.predict(pandas.DataFrame([{k: " " if isinstance(v, str) else float("nan") for k, v in rows[0].items()}]))
    assert error.value.get_http_status_code() == 400


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_that_was_cut_off_is_gone_on_with_exactly(recorded, tmp_path: Path, ending: str) -> None:
    source, whole, part = tmp_path / "in.csv", tmp_path / f"whole.{ending}", tmp_path / f"part.{ending}"
    write_csv(source, flowers(2 * BATCH + 100))
    predict(recorded, run="iris", input=source, output=whole)
    content = whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", whole.name]
    job = {"run": recorded[1]["iris"], **answer.stamp(str(source))}
    for cut in (0, 3, len(content) // 3, len(content) // 2, len(content) - 20, len(content) - 1):
        part.write_bytes(content[:cut])
        (tmp_path / f".{part.name}.unfinished").write_text(json.dumps(job))
        predict(recorded, run="iris", input=source, output=part, resume="true")
        assert part.read_bytes() == content, cut
    predict(recorded, run="iris", input=source, output=part, resume="true")  # complete: nothing to do
    assert part.read_bytes() == content


def test_resume_refuses_another_input(recorded, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", flowers(3))
    (tmp_path / "out.csv").write_text("")
    (tmp_path / ".out.csv.unfinished").write_text(json.dumps({"run": "another"}))
    with pytest.raises(UserError, match="another run or input file"):
        predict(recorded, run="iris", input=source, output=tmp_path / "out.csv", resume="true")
    with pytest.raises(UserError, match="needs input=FILE and output=FILE"):
        predict(recorded, run="iris", input=source, resume="true")
    with pytest.raises(UserError, match="true or false"):
        predict(recorded, run="iris", input=source, resume="yes")


def test_line_breaks_inside_cells_are_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    rows = "".join(f'"two\nlines ""{n}""",1\n' for n in range(BATCH + 1))
    file.write_text("text,number\n" + rows)
    count, size = answer.complete_rows(file, ",")
    assert count == BATCH and file.read_bytes()[:size].endswith(b'"two\nlines ""255""",1\n')
    assert answer.complete_rows(file, ",", whole=True) == (BATCH + 1, file.stat().st_size)


def test_an_interrupted_prediction_keeps_its_note(recorded, tmp_path: Path) -> None:
    """A bad row ends it; what was answered before is in the file, and a note says that it is not whole."""
    rows = flowers(BATCH + 5)
    rows[-1]["petal_width"] = "wide"
    source = write_csv(tmp_path / "in.csv", rows)
    with pytest.raises(UserError, match=rf'in.csv, line {BATCH + 6}, column "petal_width": \'wide\' is not a number'):
        predict(recorded, run="iris", input=source, output=tmp_path / "out.csv")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == BATCH + 1
    assert (tmp_path / ".out.csv.unfinished").exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, 'row 1 has no column "text".*received: nothing'),
        ({"txet": "a"}, "only txet"),
        ({"text": " "}, "the text is empty"),
        ({"text": None}, "the text is empty"),
        ({"text": ["a"]}, "a text is expected"),
    ],
)
def test_rows_that_cannot_be_read_are_named(row: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cleaned(row, {"text": "string"}, "row 1")


def test_outputs_of_other_kinds_are_refused(recorded, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends in .csv, .tsv, .jsonl"):
        predict(recorded, run="iris", input="a.csv", output=tmp_path / "out.xlsx")


# evaluate on a labelled file.


def score(recorded, name: str, path: Path, **settings) -> tuple[int, Path]:
    folder, ids = recorded
    return evaluate.evaluate({**EVALUATE, "run": ids[name], "input": str(path), **settings}, folder / "outputs")


@pytest.mark.parametrize("name", ["textcnn", "iris", "boston", "tfidf"])
def test_a_labelled_file_gives_the_metrics_of_the_split(recorded, tmp_path: Path, name: str, capsys) -> None:
    predictor = Predictor(bundle(recorded, name))
    data, task = predictor.data, predictor.task
    data.setup()
    rows, (_, truth) = data.raw("test", len(data.test)), data.examples("test")
    label = data.target_names[0] if data.class_names is None else "label"
    labels = truth if data.class_names is None else [data.class_names[number] for number in truth]
    path = write_csv(tmp_path / "in.csv", [row | {label: said} for row, said in zip(rows, labels, strict=True)])
    assert score(recorded, name, path, output=str(tmp_path / "out.csv")) == 0
    printed = capsys.readouterr().out
    with open(tmp_path / "out.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == len(rows)
    metrics, _, worst = evaluate.score(predictor, evaluate.labelled(str(path), predictor, [label]), lambda row: None)
    if name == "tfidf":
        expected = task.evaluate(None, data, "test")
    else:
        cfg = predictor.cfg.copy()
        cfg.trainer.limit_test_batches = 1.0
        expected = task.evaluate(evaluate.scorer(cfg), data, "test")
    assert metrics == pytest.approx({key.split("/")[1]: value for key, value in expected.items()}, rel=1e-4)
    assert "the largest errors" in printed and worst[0].split(":")[0].startswith(f"{path}, line ")
    if "accuracy" in metrics:
        assert sum(float(row["error"]) == 0 for row in written) / len(rows) == pytest.approx(metrics["accuracy"])


def test_mistakes_in_a_labelled_file_are_named(recorded, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", [{"review": "fine", "stars": "god"}])
    with pytest.raises(UserError, match=r'line 2, column "stars": "god" is no class.*Did you mean "good"'):
        score(recorded, "csv", path)
    with pytest.raises(UserError, match=r'no column "star" with the truth.*Did you mean "stars"'):
        score(recorded, "csv", path, label="star")
    path = write_csv(tmp_path / "in.csv", [{"text": "fine", "label": "1"}, {"text": "dull", "label": "negative"}])
    assert score(recorded, "textcnn", path) == 0


def test_the_runs_own_data_is_scored_again(recorded, capsys) -> None:
    folder, ids = recorded
    with inside(folder):
        assert evaluate.evaluate({**EVALUATE, "run": ids["csv"]}, folder / "outputs") == 0
        assert "test/accuracy" in capsys.readouterr().out
        with pytest.raises(UserError, match="goes with input=FILE"):
            evaluate.evaluate({**EVALUATE, "run": ids["csv"], "label": "x"}, folder / "outputs")
        with pytest.raises(UserError, match="split is val or test"):
            evaluate.evaluate({**EVALUATE, "run": ids["csv"], "split": "train"}, folder / "outputs")
