"""Questions in the format of SQuAD, and questions that are made; rows, windows and where an answer stands in them."""

import json

import pytest
import torch

from runner.datamodules.corpus import Document
from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.squad import Squad, name_questions
from runner.errors import UserError

TEXT = "Anna Lee lived in Rome. In 1990 she met Tom, a painter of walls, and moved to a village near Bern."


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))


def asked(question: str, *answers: str, start: int | None = None) -> dict:
    found = [{"text": text, "answer_start": TEXT.index(text) if start is None else start} for text in answers]
    return {"id": question, "question": question, "answers": found}


def articles(count: int) -> dict:
    questions = [asked("Where did Anna live?", "Rome", "in Rome"), asked("Who was Tom?", "a painter of walls")]
    paragraphs = [{"context": TEXT, "qas": questions}]
    return {"version": "1.1", "data": [{"title": f"{number}", "paragraphs": paragraphs} for number in range(count)]}


def written(folder, **files):
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def read(path, **settings) -> Squad:
    data = Squad(**{"path": str(path), "max_len": 60} | settings)
    data.setup()
    return data


def test_the_target_is_where_the_answer_stands(tmp_path):
    data = read(written(tmp_path, train=articles(10)) / "train.json")
    batch = data.train.gather(torch.arange(4), torch.Generator())
    assert len(data.train) == 16 and len(data.val) == len(data.test) == 2
    for tokens, segments, number, (first, last) in zip(*batch, strict=True):
        (row,) = data.prepared.rows.numbered([int(number)])
        assert data.decode(tokens[first : last + 1].tolist()) == row["answers"][0].lower()
        words = data.inputs.vocabulary.decode(tokens.tolist())
        assert words[0] == "<start>" and words[int(segments.argmax()) - 1] == "<end>" and segments[first] == 1
    assert all(
        map(torch.equal, data.encode(data.raw("train", 2)), data.train.gather(torch.arange(2), torch.Generator()))
    )
    assert data.raw("train", 1)[0]["answers"] == ["Rome", "in Rome"] == data.targets_of("train")[0]
    assert data.columns == {"question": "string", "text": "string"}


def test_a_long_text_is_read_in_windows_that_overlap(tmp_path):
    data = read(written(tmp_path, train=articles(10)) / "train.json", max_len=20)
    row = data.raw("train", 2)[1]
    windows = data.inputs.windows(row)
    assert max(len(window.numbers) for window in windows) == 20 and len(windows) > 2
    covered = [row["text"][start:end] for window in windows for start, end in window.characters]
    assert {"Anna", "Lee", "Rome", "painter", "walls", "Bern", "."} <= set(covered)
    batch = data.train.gather(torch.tensor([1]), torch.Generator())
    first, last = batch.target[0].tolist()
    assert data.decode(batch.tokens[0, first : last + 1].tolist()) == "a painter of walls", "of a later window"
    restored = Codec.restored(data.inputs.stored())
    assert restored.windows(row) == windows
    tight = read(tmp_path / "train.json", max_len=9)  # no window has four words of an answer and the question
    assert (tight.train.gather(torch.tensor([1]), torch.Generator()).target == IGNORE).all()


def test_files_of_a_folder_are_splits(tmp_path):
    data = read(written(tmp_path, **{"train-v1.1": articles(20), "dev-v1.1": articles(3)}))
    assert data.sizes["val"] == 6 and data.sizes["train"] + data.sizes["test"] == 40


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": [{"paragraphs": [{"context": TEXT, "qas": [asked("Why?")]}]}]}, "'Why\\?' has no answer"),
        ({"data": [{"paragraphs": [{"context": TEXT, "qas": [asked("Who?", "Tom", start=3)]}]}]}, "at character 3"),
        ({"rows": []}, r"not in the format of SQuAD 1\.1 .*KeyError: 'data'"),
        ([], "not in the format of SQuAD"),
    ],
)
def test_what_is_no_such_file(content, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read(written(tmp_path, train=content) / "train.json")


def test_questions_that_are_made():
    review = ["It was fine.", "The part of the old king is played by Tom Lee in his usual way, with a smile.",
              "Later we see much more of the town and of all who live there, among them the friends of the king.",
              "In the end all of them go home."]  # fmt: skip
    (found,) = name_questions([Document(["Too short."]), Document(review), Document(review)], 1, 0)
    assert found.question == "The part of the old king is played by which name in his usual way, with a smile."
    assert found.answers == ["Tom Lee"] and found.text == " ".join(review) and found.origin == 1
    assert found.text[found.start :].startswith("Tom Lee")
