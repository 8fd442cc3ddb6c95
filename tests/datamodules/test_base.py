"""Every dataset: splits, batches, the equality of encoding and training, the travelling state, the facts."""

import functools
import gzip
import json
import struct
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from runner.datamodules.base import DataModule
from runner.datamodules.boston_housing import BostonHousing
from runner.datamodules.breakfast import Breakfast
from runner.datamodules.characters import Characters
from runner.datamodules.fashion_mnist import FashionMNIST
from runner.datamodules.har import CHANNELS, HAR
from runner.datamodules.hub import HubTexts
from runner.datamodules.ionosphere import Ionosphere
from runner.datamodules.iris import Iris
from runner.datamodules.mnist import FILES, MNIST
from runner.datamodules.mnist_5k import MNIST5k
from runner.datamodules.movie_reviews import MovieReviews, packaged
from runner.datamodules.noisy_sine import NoisySine
from runner.datamodules.parts.batches import Features
from runner.datamodules.parts.codecs import NumberInputs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_numbers
from runner.datamodules.quadratic import Quadratic
from runner.datamodules.table import Table
from runner.datamodules.xor import Xor
from runner.errors import UserError
from runner.text.vocabulary import UNK

TEXTS = [("a fine film", "good"), ("a dull film !", "bad"), ("fine , fine acting", "good"), ("...", "bad")] * 10


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """One cache for the whole file: the packaged reviews are prepared once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNNER_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hub"))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small files: a table of texts, a table of numbers, a text, IDX files, a folder for the hub."""
    folder = tmp_path_factory.mktemp("files")
    rows = [{"review": text, "label": label} for text, label in TEXTS]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    random = np.random.default_rng(0)
    x = random.normal(3, 5, (60, 2))
    numbers = "".join(f"{a},{b},{a - 2 * b + 7},{'pn'[int(a > b)]}\n" for a, b in x)
    (folder / "numbers.csv").write_text("a,b,price,sign\n" + numbers)
    stars = "".join(f'"a film with {n} stars",{n}\n' for n in range(1, 6)) * 8
    (folder / "stars.csv").write_text("review,stars\n" + stars)
    (folder / "poem.txt").write_text("so much depends\nupon\n" * 200)
    (folder / "idx").mkdir()
    for name, rows in zip(FILES, (240, 240, 20, 20), strict=True):
        axes = (rows, 28, 28) if "images" in name else (rows,)
        values = random.integers(0, 256, axes) if "images" in name else np.arange(rows) % 10
        data = (
            b"\x00\x00\x08"
            + bytes([len(axes)])
            + struct.pack(f">{len(axes)}I", *axes)
            + values.astype(np.uint8).tobytes()
        )
        (folder / "idx" / f"{name}.gz").write_bytes(gzip.compress(data))
    returns = np.round(random.uniform(-1, 1, (60, 34)), 5)
    lines = [",".join(map(str, row)) + f",{'gb'[number % 2]}\n" for number, row in enumerate(returns)]
    (folder / "ionosphere.data").write_text("".join(lines))
    for part, people in (("train", (1, 3, 5, 6, 7, 8, 11, 14)), ("test", (2, 4))):
        (folder / "har" / part / "Inertial Signals").mkdir(parents=True)
        for name in CHANNELS:
            file = folder / "har" / part / "Inertial Signals" / f"{name}_{part}.txt"
            np.savetxt(file, random.normal(size=(6 * len(people), 128)), fmt="%.4f")
        np.savetxt(folder / "har" / part / f"y_{part}.txt", np.tile(np.arange(1, 7), len(people)), fmt="%d")
        np.savetxt(folder / "har" / part / f"subject_{part}.txt", np.repeat(people, 6), fmt="%d")
    (folder / "hub").mkdir()
    for split in ("train", "test"):
        (folder / "hub" / f"{split}.csv").write_text("text,label\n" + "".join(f'"{t}",{k}\n' for t, k in TEXTS))
    return folder


def table(path: Path, label: str, **settings) -> Table:
    return Table(path=str(path), label=label, **settings)


MAKE = {
    "movie_reviews": lambda folder: MovieReviews(),
    "iris": lambda folder: Iris(),
    "boston_housing": lambda folder: BostonHousing(),
    "mnist_5k": lambda folder: MNIST5k(),
    "mnist": lambda folder: MNIST(path=str(folder / "idx")),
    "xor": lambda folder: Xor(),
    "quadratic": lambda folder: Quadratic(),
    "breakfast": lambda folder: Breakfast(),
    "noisy_sine": lambda folder: NoisySine(standardize=True),
    "ionosphere": lambda folder: Ionosphere(path=str(folder / "ionosphere.data")),
    "fashion_mnist": lambda folder: FashionMNIST(path=str(folder / "idx")),
    "har": lambda folder: HAR(path=str(folder / "har")),
    "characters": lambda folder: Characters(path=str(folder / "poem.txt"), context_len=16),
    "table of texts": lambda folder: table(folder / "texts.jsonl", "label", text="review"),
    "table of numbers": lambda folder: table(folder / "numbers.csv", "sign", features=["a", "b"]),
    "regression on numbers": lambda folder: table(
        folder / "numbers.csv", "price", features=["a", "b"], target="number"
    ),
    "regression on texts": lambda folder: table(folder / "stars.csv", "stars", text="review", target="number"),
    "hub": lambda folder: HubTexts(path=str(folder / "hub"), text="text", label="label"),
}


@pytest.fixture(scope="module")
def made(folder):
    """The datasets by name, each read once for the whole file. Not to be changed."""

    @functools.cache
    def of(name):
        data = MAKE[name](folder)
        data.setup()
        return data

    return of


@pytest.fixture(params=MAKE)
def data(request, made):
    return made(request.param)


def whole(split):
    """All rows of a split as one batch."""
    return split.gather(torch.arange(len(split)), torch.Generator())


def test_batches_have_the_promised_types(data):
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        *inputs, target = next(iter(loader))
        assert all(x.dtype in (torch.int64, torch.float32) for x in inputs)
        assert all(len(x) == len(target) for x in inputs)
        if data.class_names is not None:
            assert target.dtype == torch.int64 and target.ndim == 1
            assert target.min() >= 0 and target.max() < len(data.class_names)
        elif data.target_names is not None:
            assert target.dtype == torch.float32 and target.shape[1] == len(data.target_names)


def test_raw_rows_are_encoded_as_in_training(data):
    for split in ("train", "val", "test"):
        rows = data.raw(split, 5)
        assert all(set(row) == set(data.columns) for row in rows)
        encoded = data.encode(rows)
        batch = getattr(data, split).gather(torch.arange(len(rows)), torch.Generator())
        assert len(encoded) == len(batch) - 1
        for ours, theirs in zip(encoded, batch, strict=False):
            assert ours.dtype == theirs.dtype
            assert torch.equal(ours, theirs)


def test_state_travels_as_json_to_a_new_module(data, folder, request):
    make = MAKE[request.node.callspec.params["data"]]
    fresh = make(folder)
    fresh.load_state(json.loads(json.dumps(data.state())))
    rows = data.raw("test", 3)
    for ours, theirs in zip(fresh.encode(rows), data.encode(rows), strict=True):
        assert torch.equal(ours, theirs)
    assert (fresh.class_names, fresh.target_names, fresh.columns) == (data.class_names, data.target_names, data.columns)
    if data.target_names:
        assert torch.equal(fresh.target_mean, data.target_mean) and torch.equal(fresh.target_std, data.target_std)


def test_examples_are_the_same_rows(data):
    if isinstance(data, Characters):
        with pytest.raises(UserError, match="language model"):
            data.examples("train")
        return
    inputs, targets = data.examples("val")
    *_, target = whole(data.val)
    assert len(inputs) == len(targets) == len(data.val)
    if data.class_names is not None:
        np.testing.assert_array_equal(targets, target)
    else:
        scaled = target * data.target_std + data.target_mean
        np.testing.assert_allclose(targets, scaled[:, 0], rtol=1e-5)
    if set(data.columns.values()) == {"string"}:
        assert list(inputs) == [row[next(iter(data.columns))] for row in data.raw("val", len(inputs))]
    else:
        np.testing.assert_array_equal(inputs, whole(data.val)[0].flatten(1))


def test_splits_are_fixed_and_have_a_digest(data, folder, request):
    again = MAKE[request.node.callspec.params["data"]](folder)
    again.seed = 17  # the run's seed moves no row from one split to another
    again.setup()
    assert again.digest == data.digest and len(data.digest) == 64 and data.source == again.source
    for split in ("train", "val", "test"):
        for ours, theirs in zip(whole(getattr(again, split)), whole(getattr(data, split)), strict=True):
            assert torch.equal(ours, theirs)


def test_shuffling_depends_on_the_seed():
    first, second = Iris(), Iris()
    for data, seed in ((first, 1), (second, 2)):
        data.seed = seed
        data.setup()
    assert not torch.equal(next(iter(first.train_dataloader()))[0], next(iter(second.train_dataloader()))[0])


# Statistics come from the training split alone.


def test_scalers_are_those_of_the_training_split():
    data = BostonHousing()
    data.setup()
    x, y = whole(data.train)
    torch.testing.assert_close(x.mean(0), torch.zeros(13), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(13), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert abs(whole(data.test)[0].mean()) > 1e-3


def test_the_vocabulary_is_that_of_the_training_split(tmp_path):
    rows = "".join(f"common word{n},{'ab'[n % 2]}\n" for n in range(50))
    (tmp_path / "a.csv").write_text("text,label\n" + rows)
    data = Table(path=str(tmp_path / "a.csv"), label="label", text="text")
    data.setup()
    words = {word for row in data.raw("train", 50) for word in row["text"].split()}
    assert set(data.inputs.vocabulary.tokens[2:]) == words
    assert data.inputs.vocabulary.tokens[2] == "common"
    (tokens, _) = whole(data.test)
    assert (tokens[:, 1] == UNK).all()


def test_the_characters_are_those_of_the_training_part(tmp_path):
    (tmp_path / "a.txt").write_text("abc\n" * 500 + "xyz\n" * 500)
    data = Characters(path=str(tmp_path / "a.txt"), context_len=8)
    data.setup()
    (tmp_path / "b.txt").write_text("abc\n" * 950 + "xyz\n" * 50)
    data = Characters(path=str(tmp_path / "b.txt"), context_len=8)
    data.setup()
    assert set(data.inputs.vocabulary.tokens[2:]) == set("abc\n")
    assert data.raw("test", 1) == [{"text": "\ufffd\ufffd\ufffd\n\ufffd\ufffd\ufffd\n"}]
    assert data.decode(data.encode([{"text": "cab"}])[0][0].tolist()) == "cab"


# Single datasets.


def test_movie_reviews_are_what_the_table_of_sources_says():
    data = MovieReviews()
    data.setup()
    assert len(data.train) + len(data.val) + len(data.test) == 8530
    assert data.class_names == ["negative", "positive"]
    for split in (data.train, data.val, data.test):
        assert abs(whole(split)[1].float().mean() - 0.5) < 0.01
    assert len(data.inputs.vocabulary) == 10_000
    coded = {row.text: row.target for row in packaged("rotten_tomatoes").rows()}
    assert coded["simplistic , silly and tedious ."] == "negative"
    assert coded["effective but too-tepid biopic"] == "positive"


def test_imdb_has_no_duplicates_and_no_markup():
    texts = [row.text for row in packaged("imdb").rows()]
    assert len(texts) == len(set(texts)) == 24_904
    assert not any("<br />" in text for text in texts)


def test_cross_validation_tests_every_flower_once():
    seen = []
    for fold in range(5):
        data = Iris(fold=fold, folds=5)
        data.setup()
        seen += [tuple(row.values()) for row in data.raw("test", 150)]
    everything = Iris()
    everything.setup()
    rows = [tuple(row.values()) for split in ("train", "val", "test") for row in everything.raw(split, 150)]
    assert sorted(seen) == sorted(rows) and len(seen) == 150


def test_digits_are_images_between_0_and_1(folder):
    data = MNIST5k()
    data.setup()
    images, _ = whole(data.train)
    assert images.shape == (4000, 1, 28, 28) and (images.min(), images.max()) == (0, 1)
    mnist = MAKE["mnist"](folder)
    mnist.setup()
    assert [len(split) for split in (mnist.train, mnist.val, mnist.test)] == [220, 20, 20]
    with pytest.raises(UserError, match="an image of shape"):
        data.encode([{"image": np.zeros((20, 20))}])


def test_broken_idx_files_are_named(folder, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(gzip.decompress((folder / "idx" / f"{name}.gz").read_bytes())[:-1])
    with pytest.raises(UserError, match="train-images-idx3-ubyte is damaged"):
        MNIST(path=str(tmp_path)).setup()
    with pytest.raises(UserError, match="does not exist"):
        MNIST(path=str(tmp_path / "nowhere")).setup()


def test_xor_has_four_points_in_every_split():
    data = Xor()
    data.setup()
    x, y = whole(data.test)
    assert torch.equal((x.sum(1) == 1).long(), y) and len(y) == len(data.train) == 4


def test_long_texts_are_cut_where_asked(tmp_path):
    (tmp_path / "a.csv").write_text(
        "text,label\n" + "".join(f"one two three four five,{'ab'[n % 2]}\n" for n in range(20))
    )
    for truncate, expected in (("head", "one two"), ("tail", "four five"), ("both", "one five")):
        data = Table(path=str(tmp_path / "a.csv"), label="label", text="text", max_len=2, truncate=truncate)
        data.setup()
        tokens, _ = whole(data.train)
        assert " ".join(data.inputs.vocabulary.decode(tokens[0].tolist())) == expected


def test_a_text_without_words_is_one_unknown_word(folder):
    data = MAKE["table of texts"](folder)
    data.setup()
    assert data.encode([{"review": "..."}])[0].tolist() == [[UNK]]


def test_a_folder_keeps_its_own_test_rows(tmp_path):
    for name, word in (("train", "seen"), ("test", "unseen")):
        (tmp_path / f"{name}.csv").write_text(
            "text,label\n" + "".join(f"{word} {n},{'ab'[n % 2]}\n" for n in range(20))
        )
    data = Table(path=str(tmp_path), label="label", text="text")
    data.setup()
    assert [len(split) for split in (data.train, data.val, data.test)] == [18, 2, 20]
    assert all("unseen" in row["text"] for row in data.raw("test", 20))


def test_the_hub_reads_its_own_class_names(folder):
    data = HubTexts(path=str(folder / "hub"), text="text", label="label", num_classes=2)
    data.setup()
    assert data.class_names == ["bad", "good"] and len(data.test) == 40
    with pytest.raises(UserError, match=r'no column "txt".*Did you mean "text"\?'):
        HubTexts(path=str(folder / "hub"), text="txt", label="label").setup()


def test_a_hub_that_cannot_be_reached_says_three_ways(tmp_path):
    with pytest.raises(UserError, match=r"tried: datasets.load_dataset(?s:.)*Three ways"):
        HubTexts(path=str(tmp_path / "absent"), text="text", label="label").setup()


def test_declared_facts_are_checked():
    with pytest.raises(
        UserError, match=r"data.in_features=5 is declared, but .*iris.csv has 4. Set data.in_features=4"
    ):
        Iris(in_features=5).setup()
    with pytest.raises(UserError, match=r"Set data.image_shape=\[1,28,28\]"):
        MNIST5k(image_shape=[1, 32, 32]).setup()


def test_targets_of_classes_cannot_be_unscaled():
    data = Iris()
    data.setup()
    with pytest.raises(UserError, match="task=classification"):
        _ = data.target_mean


# Data modules from outside.


class Plain(DataModule):
    """One with its own constructor."""

    def __init__(self, num_classes: int = 2, batch_size: int = 8):
        super().__init__(batch_size=batch_size)
        self.num_classes = num_classes

    def prepare(self):
        values, target = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
        splits = self.splitting(10, target)
        return prepare_numbers(["a", "b"], values, target, splits, "made here", "0" * 64, class_names=["x", "y"])


def test_a_plain_constructor_does_as_well():
    data = Plain(batch_size=3)
    data.setup()
    assert data.batch_size == 3 and data.fold == 0 and len(data.train_dataloader()) == 3
    with pytest.raises(UserError, match=r"Set data.num_classes=2"):
        Plain(num_classes=5).setup()


class Alone(Plain):
    """A training split alone."""

    def prepare(self):
        prepared = super().prepare()
        prepared.val = prepared.test = None
        return prepared


def test_data_without_validation_and_test(caplog):
    data = Alone()
    with caplog.at_level("INFO"):
        data.setup()
    assert "8 train; there is no val and no test split" in caplog.text
    assert data.val is None and data.sizes == {"train": 8}
    assert data.val_dataloader() == [] and data.test_dataloader() == []
    assert len(data.raw("train")) == 8
    with pytest.raises(UserError, match="has no val split"):
        data.targets_of("val")


class Coins:
    """An environment: tosses as many coins as are asked for."""

    def __len__(self) -> int:
        return 12

    def gather(self, index, draw):
        tossed = torch.randint(2, (len(index),), generator=draw)
        return Features(torch.ones(len(index), 1), tossed)


class Tossing(DataModule):
    """An environment as data."""

    def prepare(self):
        inputs = NumberInputs(["coin"], [0.0], [1.0])
        return Prepared(inputs, None, Coins(), None, None, rows=None, source="made here: coins", digest="0" * 64)


def test_an_environment_is_a_split():
    data = Tossing(batch_size=4)
    data.setup()
    tosses = [[batch.target.tolist() for batch in data.train_dataloader()] for _ in range(2)]
    assert len(tosses[0]) == 3 and tosses[0] == tosses[1], "the same random numbers in the same epoch"
    for ask in (data.targets_of, data.raw, data.examples):
        with pytest.raises(UserError, match="has no rows to look at"):
            ask("train")
    assert data.state() == {"inputs": data.inputs.stored()}


def test_a_share_for_the_test_is_refused_where_the_source_has_its_own(folder):
    with pytest.raises(UserError, match=r"data.test_share: the source has its own test split"):
        MNIST(path=str(folder / "idx"), test_share=0.2).setup()


def test_a_share_of_the_training_split_is_refused_where_nothing_is_divided():
    with pytest.raises(UserError, match=r"data\.train_share=0\.5: Xor has splits of its own"):
        Xor(train_share=0.5).setup()
    whole, half = Iris(), Iris(train_share=0.5)
    whole.setup()
    half.setup()
    assert half.sizes == {"train": 60, "val": 15, "test": 15} and whole.sizes["train"] == 120
    np.testing.assert_array_equal(half.targets_of("test"), whole.targets_of("test"))
