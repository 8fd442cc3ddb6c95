"""Chapters 2 to 5: nets with known answers, the readers of old and odd files, splits by person and block, figures."""

import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
import torch.nn.functional as F
from sklearn.svm import SVR as Machine
from small_runs import composed
from torch.func import functional_call, stack_module_state, vmap

from runner.datamodules import har, ionosphere, protein_homology
from runner.datamodules.boston_housing import BostonHousing
from runner.datamodules.breakfast import Breakfast
from runner.datamodules.fraud import Fraud
from runner.datamodules.iris import Iris
from runner.datamodules.noisy_sine import NoisySine
from runner.datamodules.parts.splits import by_group, held_out, split
from runner.datamodules.quadratic import Quadratic as QuadraticData
from runner.errors import UserError
from runner.figures.images import Mistakes, image_figures
from runner.figures.tables import panels_of_models
from runner.files import sources
from runner.models.cnn import CNN
from runner.models.cnn1d import CNN1d
from runner.models.mlp import MLP
from runner.models.perceptron import Perceptron
from runner.models.quadratic import Quadratic
from runner.models.svr import SVR
from runner.tasks.losses import half_squared_error
from runner.training.train import train

CORNERS = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
XOR = torch.tensor([0, 1, 1, 0])


def result(overrides: list[str], folder: Path) -> dict:
    """Train as the command does, without MLflow; return metrics.json."""
    return train(composed(("trainer.accelerator=cpu", *overrides)), folder)


# Known answers: whole experiments.


@pytest.mark.parametrize(
    ("overrides", "expected", "close"),
    [
        ([], 4.99999, 2e-5),
        (["data.steps=1", "data.coefficients=[1,-20,100]"], 0.2, 1e-6),
    ],
)
def test_the_lowest_point_of_a_parabola(overrides, expected, close, tmp_path, no_figures):
    assert result(["experiment=quadratic", *overrides], tmp_path)["fit/w"] == pytest.approx(expected, abs=close)


def test_prices_of_breakfast_meal_after_meal(tmp_path, no_figures):
    found = result(["experiment=ch02_breakfast_online"], tmp_path)
    assert [found[f"fit/w{dish}"] for dish in range(3)] == pytest.approx([149.99999, 50.00005, 99.99998], abs=3e-5)


def test_prices_of_breakfast_all_at_once():
    """The loop of the experiment, without the run around it; the experiment itself is in benchmarks/foundations.py."""
    data = Breakfast(batch_size=5)
    data.setup()
    net = Perceptron(3, 1, bias=False, start=50.0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.005)
    (meals, bills), *_ = data.train_dataloader()
    for _ in range(500):
        optimizer.zero_grad()
        half_squared_error(net(meals), bills).backward()
        optimizer.step()
    assert list(net.fitted().values()) == pytest.approx([149.99855, 50.00249, 99.99872], abs=1e-4)
    assert list(net.fitted()) == ["w0", "w1", "w2"]


def test_the_books_weights_solve_exclusive_or():
    net = MLP(2, 2, [2])
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.ones(2, 2))
        net.layers[0].bias.copy_(torch.tensor([0.0, -1]))
        hidden = torch.relu(net.layers[0](CORNERS))
        assert hidden.tolist() == [[0, 0], [1, 0], [1, 0], [2, 1]]
        # One output y, "true" above 1/2, as the difference of two logits.
        net.layers[2].weight.copy_(torch.tensor([[-1.0, 2], [1, -2]]))
        net.layers[2].bias.copy_(torch.tensor([0.5, -0.5]))
        assert torch.equal(net(CORNERS).argmax(1), XOR)


def solved(nets: list[torch.nn.Module]) -> list[int]:
    """Corners that are right after the training of experiment=ch02_xor, for each net; all train as one stack."""
    weights, _ = stack_module_state(nets)
    answers = vmap(lambda own: functional_call(nets[0], own, (CORNERS,)))
    optimizer = torch.optim.Adam(weights.values(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = F.cross_entropy(answers(weights).flatten(0, 1), XOR.repeat(len(nets)), reduction="sum") / 4
        loss.backward()
        optimizer.step()
    return (answers(weights).argmax(dim=2) == XOR).sum(dim=1).tolist()


def test_eight_units_learn_exclusive_or_and_a_perceptron_does_not():
    nets, perceptrons = [], []
    for seed in range(1, 31):
        torch.manual_seed(seed)
        nets.append(MLP(2, 2, [8], activation="leaky_relu"))
        perceptrons.append(Perceptron(2, 2))
    assert solved(nets) == [4] * 30
    assert max(solved(perceptrons)) <= 3


def test_boston_has_all_models_on_one_split(tmp_path, no_figures):
    found = result(["experiment=ch03_boston", "trainer.max_epochs=10", "optim.lr=0.01"], tmp_path)
    names = [f"test/{name}mse" for name in ("", "svr_", "svr_raw_", "linear_regression_")]
    mlp, standardised, raw, least_squares = (found[name] for name in names)
    assert standardised < least_squares < raw and mlp < raw
    assert (tmp_path / "figures" / "side_by_side.png").stat().st_size > 10_000


def test_the_fitted_curve_is_drawn(tmp_path):
    found = result(["experiment=ch03_curve", "trainer.max_epochs=20", "+trainer.check_val_every_n_epoch=10"], tmp_path)
    assert found["test/mse"] < 0.5  # the variance of a sine
    assert (tmp_path / "figures" / "fitted_curve.png").exists()


# Nets.


def test_quadratic_answers_with_the_parabola():
    net = Quadratic(start=3.0)
    assert net(torch.tensor([[1.0, -10, 25], [2, 0, 1]])).tolist() == [[4.0], [19.0]]
    with pytest.raises(ValueError, match="the coefficients a, b and c"):
        Quadratic(in_features=4)


def test_perceptron_lists_its_weights_where_somebody_reads_them():
    assert Perceptron(2, 1, start=2.0).fitted() == {"w0": 2.0, "w1": 2.0, "b": 0.0}
    assert Perceptron(784, 1).fitted() == {} and Perceptron(2, 3).fitted() == {}


def test_svr_predicts_as_scikit_learn_before_and_after_a_journey():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(80, 3)), draw.normal(size=(80, 2))
    ours = SVR(3, 2, c=10, gamma=0.3, epsilon=0.2).fit(x, y)
    theirs = [Machine(C=10, gamma=0.3, epsilon=0.2).fit(x, column).predict(x) for column in y.T]
    np.testing.assert_allclose(ours.predict(x), np.stack(theirs, axis=1), atol=1e-8)
    other = SVR(3, 2, gamma=0.3)
    other.load_state(ours.state())
    np.testing.assert_array_equal(other.predict(x), ours.predict(x))
    with pytest.raises(ValueError, match="received 4 and 2"):
        ours.fit(draw.normal(size=(80, 4)), y)
    with pytest.raises(ValueError, match="above 0"):
        SVR(3, 1, gamma=0)


def test_cnn_has_the_sizes_of_the_book():
    net = CNN([1, 28, 28], 10)
    assert net.features(torch.rand(2, 1, 28, 28)).shape == (2, 64, 7, 7)
    assert sum(parameter.numel() for parameter in net.parameters()) == 832 + 51_264 + 3_212_288 + 10_250
    with pytest.raises(ValueError, match="must be odd"):
        CNN([1, 28, 28], 10, kernel_size=4)
    with pytest.raises(ValueError, match="too many"):
        CNN([1, 8, 8], 10, num_filters=[4, 4, 4, 4])


def test_cnn1d_has_the_sizes_of_the_book():
    net = CNN1d(128, 9, 6)
    assert net.dense.in_features == 63 * 64 and net(torch.rand(2, 128, 9)).shape == (2, 6)
    with pytest.raises(ValueError, match="leave nothing"):
        CNN1d(4, 9, 6, kernel_size=4, pool_size=2)


# Splits.


def test_a_share_is_held_out_and_stratified():
    classes = np.repeat([0, 1, 2], [60, 30, 10])
    own = held_out(100, 0.33, classes, seed=1)
    assert (own == 2).sum() == 33
    assert np.abs(np.bincount(classes[own == 2]) - [19.8, 9.9, 3.3]).max() <= 1
    assert not np.array_equal(own, held_out(100, 0.33, classes, seed=2))
    with pytest.raises(UserError, match="test_share=1"):
        held_out(100, 1.0)
    data = Iris(test_share=0.33)
    data.setup()
    assert (len(data.test), len(data.val), len(data.train)) == (50, 10, 90)


def test_groups_stay_together():
    groups = np.repeat(np.arange(20), 5)
    splits = by_group(groups, lambda rows, classes, own: split(rows, classes, own))
    people = [set(groups[part]) for part in splits]
    assert sum(map(len, people)) == 20 == len(set.union(*people)) and all(people)


# Data.


def test_breakfast_keeps_its_order():
    data = Breakfast(batch_size=1)
    data.setup()
    for _ in range(2):
        assert [bill.item() for _, bill in data.train_dataloader()] == [850, 1050, 950, 1650, 1350]


def test_quadratic_data_are_checked():
    for wrong in ([0, 1, 2], [1, 2]):
        with pytest.raises(UserError, match="a above 0"):
            QuadraticData(coefficients=wrong)


def test_noisy_sine_is_tested_on_the_truth():
    data = NoisySine()
    data.setup()
    for part, noise in (("train", 0.1), ("val", 0.1), ("test", 0.0)):
        x, y = getattr(data, part).gather(torch.arange(64), torch.Generator())
        assert (y - torch.sin(x)).std().item() == pytest.approx(noise, abs=0.03)
    assert not torch.equal(data.train.batch[1], data.val.batch[1])


def test_boston_as_it_is():
    data = BostonHousing(standardize=False, standardize_target=False)
    data.setup()
    assert data.train.batch[1].mean() > 20 and data.train.batch[0].max() > 600


def test_ionosphere_from_the_archive_gets_its_constant_column_back(monkeypatch, tmp_path):
    draw = np.random.default_rng(0)
    rows = [", ".join(f"{value:.3f}" for value in draw.uniform(-1, 1, 33)) + f", {'gb'[n % 2]}" for n in range(40)]
    with zipfile.ZipFile(tmp_path / "keel.whl", "w") as packed:
        packed.writestr(ionosphere.MEMBER, "@relation x\n@data\n" + "\n".join(rows))
    monkeypatch.setattr(sources, "archive", lambda *_: tmp_path / "keel.whl")
    data = ionosphere.Ionosphere()
    data.setup()
    assert data.train.batch[0].shape[1] == 34 and not data.train.batch[0][:, 1].any()
    assert data.class_names == ["bad", "good"]
    for line, problem in (("1,2,g", "2 numbers"), ("1," * 34 + "x", "'x'"), ("a," * 34 + "g", "line 1")):
        with pytest.raises(UserError, match=problem):
            ionosphere.read_returns(line, "here")


def test_protein_homology_keeps_blocks_together(monkeypatch, tmp_path):
    draw = np.random.default_rng(0)
    columns = {"EXAMPLE_ID": np.repeat(np.arange(20), 30), "BLOCK_ID": np.arange(600)}
    columns["target"] = (draw.random(600) < 0.2).astype(np.int64)
    columns |= {str(number): draw.standard_cauchy(600) for number in range(4, 78)}
    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), table)
    with zipfile.ZipFile(tmp_path / "deep.whl", "w") as packed:
        packed.writestr(protein_homology.MEMBER, table.getvalue())
    monkeypatch.setattr(sources, "archive", lambda *_: tmp_path / "deep.whl")
    data = protein_homology.ProteinHomology()
    data.setup()
    assert [len(part) for part in (data.train, data.val, data.test)] == [360, 120, 120]
    assert all(len(part) % 30 == 0 for part in (data.train, data.val, data.test))
    assert data.train.batch[0].abs().max() <= 5


def creditcard(path: Path, rows: int = 60, amount: str = "0.0") -> Path:
    """A small file in the format of creditcard.csv."""
    draw = np.random.default_rng(0)
    names = ["Time", *(f"V{number}" for number in range(1, 29)), "Amount", "Class"]
    lines = [",".join(f'"{name}"' for name in names)]
    for number in range(rows):
        cells = [f"{value:.6f}" for value in draw.normal(size=28)]
        cells = [str(number), *cells, amount if number == 0 else f"{number * 10.5}", str(number % 3 // 2)]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_fraud_is_prepared_as_in_the_book(tmp_path):
    data = Fraud(str(creditcard(tmp_path / "creditcard.csv")))
    data.setup()
    assert "Time" not in data.columns and len(data.columns) == 29
    raw = np.array([row["Amount"] for row in data.raw("train", 1000)])
    logs = np.log(raw + 0.001)
    expected = ((logs - logs.mean()) / logs.std()).clip(-5, 5)
    np.testing.assert_allclose(data.train.batch[0][:, -1], expected, atol=1e-5)
    rows = data.raw("test", 3)
    assert torch.equal(data.encode(rows)[0], data.test.gather(torch.arange(3), torch.Generator())[0])
    fresh = Fraud("elsewhere.csv")
    fresh.load_state(data.state())
    assert torch.equal(fresh.encode(rows)[0], data.encode(rows)[0])


def test_fraud_says_what_is_wrong_with_the_file(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        Fraud(str(tmp_path / "creditcard.csv")).setup()
    with pytest.raises(UserError, match=r"does not exist\. Correct the cell"):
        Fraud(str(creditcard(tmp_path / "creditcard.csv", amount="-5.0"))).setup()
    with pytest.raises(UserError, match='column "Amount"'):
        Fraud(str(creditcard(tmp_path / "creditcard.csv", amount="much"))).setup()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="has no column V1"):
        Fraud(str(tmp_path / "other.csv")).setup()


# The old pickle of the activity data.


class BlockManager:
    """Stands in for a class of an old pandas; the name of its module is exchanged in the bytes below."""

    def __init__(self, blocks: list[np.ndarray]):
        self.blocks = blocks

    def __getstate__(self) -> tuple:
        return [], self.blocks, [], {}


class DataFrame:
    def __init__(self, blocks: list[np.ndarray]):
        self._data = BlockManager(blocks)


def old_pandas(people: dict[int, np.ndarray]) -> bytes:
    """A pickle as an old pandas wrote it: {person: [table]}, a table of blocks (6 signals) and (sequence, label)."""
    tables = {}
    for person, labels in people.items():
        signals = np.random.default_rng(person).normal(size=(6, len(labels)))
        tables[person] = [DataFrame([signals, np.stack([np.arange(len(labels)), labels])])]
    data = pickle.dumps(tables, protocol=2)
    ours = b"c" + __name__.encode() + b"\n"
    data = data.replace(ours + b"DataFrame\n", b"cpandas.core.frame\nDataFrame\n")
    data = data.replace(ours + b"BlockManager\n", b"cpandas.core.internals.managers\nBlockManager\n")
    return data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_windows_never_cross_activities():
    labels = np.repeat([-1, 1, 5, 7, 6], [50, 200, 320, 300, 127])
    windows = list(har.cut(np.arange(len(labels))[:, None], labels))
    starts = [(int(values[0, 0]), activity) for values, activity in windows]
    assert starts == [(50, 1), (114, 1), (250, 5), (314, 5), (378, 5), (442, 5)]
    assert all(len(values) == 128 for values, _ in windows)


def test_body_acceleration_has_no_gravity():
    seconds = np.arange(1000)[:, None] / 50
    signals = np.concatenate([9.8 + np.sin(2 * np.pi * 3 * seconds)] * 3 + [np.zeros_like(seconds)] * 3, axis=1)
    found = har.channels(signals)
    assert found.shape == (1000, 9)
    np.testing.assert_allclose(found[200:800, 3:6], signals[200:800, :3] - 9.8, atol=0.02)


def test_har_from_the_archive(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    labels = np.repeat(np.arange(1, 7), 200)
    packed = gzip.compress(old_pandas(dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 11), labels)))
    with tarfile.open(tmp_path / "har.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(har.MEMBER)
        member.size = len(packed)
        archive.addfile(member, io.BytesIO(packed))
    monkeypatch.setattr(sources, "archive", lambda *_: tmp_path / "har.tar.gz")
    data = har.HAR()
    data.setup()
    assert len(data.test) == 2 * 12 and len(data.val) == 12 and len(data.train) == 6 * 12
    x, _ = data.train.gather(torch.arange(72), torch.Generator())
    torch.testing.assert_close(x.mean((0, 1)), torch.zeros(9), atol=1e-4, rtol=0)


def test_har_reads_nothing_but_arrays():
    with pytest.raises(UserError, match=r"os\.system"):
        har.unpickled(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match="has no business"):
        har.unpickled(pickle.dumps(Path("x"), protocol=2))


def test_har_says_which_file_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"y_train\.txt does not exist"):
        har.HAR(path=str(tmp_path)).setup()


# Archives of Debian.


def test_a_debian_package_is_read(tmp_path):
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as archive:
        member = tarfile.TarInfo("./usr/share/x.txt")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    package = b"!<arch>\n"
    for name, data in (("debian-binary", b"2.0"), ("data.tar.xz", inner.getvalue())):
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
        package += head.encode() + data + b"\n" * (len(data) % 2)
    file = tmp_path / "x.deb"
    file.write_bytes(package)
    assert sources.read_member(file, "./usr/share/x.txt") == b"hello"
    with pytest.raises(UserError, match="has no member"):
        sources.read_member(file, "./usr/share/y.txt")


def test_apt_is_called_as_a_user_would_call_it(tmp_path, monkeypatch):
    client = tmp_path / "bin" / "apt-get"  # stands in for the client: apt-get download --quiet NAME=VERSION
    client.parent.mkdir()
    client.write_text('#!/bin/sh\ntest "$1 $3" = "download tiny=1.0" && printf content > tiny_1.0_all.deb\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RUNNER_OFFLINE", raising=False)
    wanted = sources.Archive("apt", "tiny", "1.0", "tiny_1.0_all.deb", hashlib.sha256(b"content").hexdigest())
    assert sources.archive(wanted).read_bytes() == b"content"
    assert wanted.by_hand == "apt-get download tiny=1.0"


# Figures.


def test_mistakes_of_images_are_shown_and_others_passed_over():
    mistakes = Mistakes()
    mistakes.update((torch.rand(4, 7),), torch.zeros(4), torch.ones(4))
    assert image_figures(MLP(7, 2), mistakes) == {}
    images, target = torch.rand(50, 1, 8, 8), torch.arange(50) % 2
    mistakes.update((images,), torch.zeros(50, dtype=torch.int64), target)
    assert len(mistakes.found) == 25 and all(actual == 1 for _, _, actual in mistakes.found)
    for net in (MLP(64, 2, [5]), CNN([1, 8, 8], 2, [4], 3, 8)):
        assert set(image_figures(net, mistakes, ["no", "yes"])) == {"misclassified", "first_layer_filters"}
    mistakes.reset()
    assert mistakes.shape is None and not mistakes.found


def test_panels_of_models_has_a_panel_for_each_model():
    actual = np.arange(5.0)
    figure = panels_of_models(actual, {"one": actual, "other": actual + 1, "third": actual - 2})
    assert [axes.get_title() for axes in figure.axes] == ["one\nMSE 0.0", "other\nMSE 1.0", "third\nMSE 4.0"]
