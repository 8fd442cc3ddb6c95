"""The sum of the attention to a word, what is chosen by it, and asking a trained reader."""

import math

import pytest
import torch
from objectives import Given

from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.questions import AnswerWords, QuestionInputs, Questions
from runner.errors import UserError
from runner.tasks.reading import ClozeReading, sums_of
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import SPECIALS, Vocabulary

NAMED = torch.tensor([[0, -1, 2, 0, 2], [0, 1, 0, -1, -1]])
ATTENTION = torch.tensor([[0.1, 0.4, 0.2, 0.2, 0.1], [0.1, 0.3, 0.1, 0.3, 0.2]])


class Looks(Given):
    """Always looks in the same way."""

    def forward(self, document, question):
        return ATTENTION[: len(document), : document.size(1)]


class Data:
    """Stands for the data of a trained reader."""

    def __init__(self) -> None:
        words = ["the", "cat", "saw", "a", "dog", "xxxxx"]
        self.inputs = QuestionInputs(Pipeline(TokenSettings("word"), 5, "tail"), Vocabulary([*SPECIALS, *words]))
        self.targets = AnswerWords([])

    def encode(self, rows):
        return self.inputs.encode(rows)


def batch(target) -> Questions:
    return Questions(torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 3, dtype=torch.int64), NAMED, target)


def test_sums_are_over_the_places_of_a_word() -> None:
    expected = torch.tensor([[0.3, 0.0, 0.3, 0.0, 0.0], [0.2, 0.3, 0.0, 0.0, 0.0]])
    assert torch.allclose(sums_of(ATTENTION, NAMED), expected)


def test_loss_and_accuracy() -> None:
    scalars = ClozeReading(Looks()).step(batch(torch.tensor([2, 1])))
    assert scalars["loss"].item() == pytest.approx(-(math.log(0.3) + math.log(0.3)) / 2, rel=1e-5)
    assert scalars["accuracy"].item() == pytest.approx(0.5)  # of two equal sums the first is chosen
    assert scalars["frequency_accuracy"].item() == pytest.approx(0.0)  # the first word stands there twice


def test_an_answer_that_is_not_there_is_wrong() -> None:
    scalars = ClozeReading(Looks()).step(batch(torch.tensor([-1, -1])))
    assert scalars["accuracy"].item() == 0
    assert math.isfinite(scalars["loss"].item())


def test_a_net_that_answers_otherwise_is_named() -> None:
    class Wrong(Looks):
        def forward(self, document, question):
            return ATTENTION[:, :2]

    with pytest.raises(UserError, match=r"attention of shape \(2, 5\).*Wrong returned \(2, 2\)"):
        ClozeReading(Wrong()).step(batch(torch.tensor([2, 1])))


def test_it_is_asked_with_a_document_and_a_question() -> None:
    row = {"document": "The cat saw a cat.", "question": "The XXXXX saw."}
    (answer,) = ClozeReading(Looks()).answer([row], Data())
    assert answer == {"prediction": "cat", "share": pytest.approx(0.5)}
    (answer,) = ClozeReading(Looks()).answer([row | {"candidates": ["saw", "a"]}], Data())
    assert answer["prediction"] == "saw"


def test_a_labelled_file_is_scored() -> None:
    task, data = ClozeReading(Looks()), Data()
    rows = [{"document": "the cat saw a cat", "question": "the xxxxx"}] * 2
    task.start_scoring()
    task.score(rows[:1], ["Cat"], data)
    task.score(rows[:1], ["dog"], data)
    assert task.scores()["accuracy"] == pytest.approx(0.5)
    assert data.targets.error({"prediction": "cat"}, "Cat") == (0.0, {"answer": "Cat"})
    with pytest.raises(UserError, match="document, question and answer"):
        task.score(rows, None, data)


def test_the_codec_comes_back() -> None:
    codec = Data().inputs
    rows = [{"document": "the cat saw a dog", "question": "the xxxxx", "candidates": ["cat", "dog"]}]
    again = Codec.restored(codec.stored())
    for one, other in zip(codec.encode(rows), again.encode(rows), strict=True):
        assert torch.equal(one, other)
    assert codec.encode(rows)[2].tolist() == [[-1, 1, -1, -1, 4]]
