"""Spans: exact match and F1 are those of SQuAD, the best legal span is answered, the loss is that of both ends."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.pairs import MARKS
from runner.datamodules.parts.spans import SpanInputs, SpanTexts
from runner.errors import UserError
from runner.tasks.span_extraction import SpanExtraction, best, exact_match, f1
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import Vocabulary

WORDS = ["who", "where", "anna", "lives", "in", "rome", "tom", "paints", "walls"]
TEXT = "Anna lives in Rome. Tom paints walls!"


class Knows(nn.Module):
    """Scores of beginning and end that depend on the word alone."""

    def __init__(self, begins: dict[str, float], ends: dict[str, float]):
        super().__init__()
        numbers = Vocabulary([*MARKS, *WORDS], MARKS).numbers
        self.table = torch.zeros(len(numbers), 2)
        for column, scores in enumerate((begins, ends)):
            for word, score in scores.items():
                self.table[numbers[word], column] = score

    def forward(self, tokens, segments):
        return self.table[tokens]


class Data:
    """Stands for the data of a trained net."""

    targets = None

    def __init__(self, max_len: int = 40):
        self.inputs = SpanInputs(Pipeline(TokenSettings("word"), max_len), Vocabulary([*MARKS, *WORDS], MARKS))


def answered(begins: dict, ends: dict, max_len: int = 40, **settings) -> dict:
    task = SpanExtraction(Knows(begins, ends), **settings)
    return task.answer([{"question": "Where lives Anna?", "text": TEXT}], Data(max_len))[0]


PAIRS = [
    ("The Rome!", ["rome", "in Rome"]), ("in rome", ["Rome"]), ("a wall of Rome", ["Rome wall", "the wall"]),
    ("", ["Rome"]), ("Rome Rome", ["rome"]), ("x-ray", ["xray"]), ("an", ["a"]), ("the theatre", ["theatre"]),
    ("1,990", ["1990", "In 1,990"]),
]  # fmt: skip


def test_scores_are_those_of_squad():
    from torchmetrics.functional.text import squad

    for said, truths in PAIRS:
        answers = {"text": truths, "answer_start": [0] * len(truths)}
        reference = squad([{"prediction_text": said, "id": "1"}], [{"answers": answers, "id": "1"}])
        assert best(exact_match, said, truths) * 100 == reference["exact_match"].item(), said
        assert best(f1, said, truths) * 100 == pytest.approx(reference["f1"].item(), abs=1e-4), said


def test_the_best_span_of_the_text_is_answered():
    found = answered({"in": 5.0}, {"rome": 5.0})
    assert found["answer"] == "in Rome" and found["start"] == TEXT.index("in Rome") and 0 < found["probability"] < 1
    assert answered({"tom": 9.0}, {"anna": 8.0, "walls": 1.0})["answer"] == "Tom paints walls", "not backwards"
    assert answered({"where": 9.0, "in": 1.0}, {"rome": 1.0})["answer"] == "in Rome", "not from the question"
    assert answered({"anna": 9.0}, {"lives": 1.0, "walls": 5.0}, max_answer=2)["answer"] == "Anna lives", "not too long"
    assert answered({"walls": 5.0}, {"walls": 5.0}, max_answer=1)["answer"] == "walls"
    assert answered({"<end>": 9.0, "rome": 1.0}, {"<end>": 9.0, "rome": 1.0})["answer"] == "Rome", "no mark"


def test_a_long_text_is_answered_from_its_surest_window():
    found = answered({"tom": 5.0}, {"walls": 5.0}, max_len=10)
    assert found["answer"] == "Tom paints walls" and TEXT[found["start"] :].startswith("Tom")


def test_rows_alone_and_together_are_answered_alike():
    task, data = SpanExtraction(Knows({"in": 3.0, "tom": 2.0}, {"rome": 3.0, "walls": 2.0})), Data(12)
    rows = [
        {"question": "who", "text": TEXT},
        {"question": "where lives", "text": "Tom"},
        {"question": "who", "text": "!"},
    ]
    together = task.answer(rows, data)
    assert together == [task.answer([row], data)[0] for row in rows]
    assert together[1]["answer"] == "Tom" and together[2]["answer"] == "!"


def test_the_loss_is_a_mean_over_questions_with_an_answer():
    logits = torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[4, 5, 6, 7, 8, 9], [4, 5, 6, 0, 0, 0], [4, 5, 6, 7, 0, 0]])
    target = torch.tensor([[1, 3], [2, 2], [IGNORE, IGNORE]])
    batch = SpanTexts(tokens, torch.zeros_like(tokens), torch.arange(3), target)
    (loss,) = SpanExtraction(nn.Identity()).scalars(logits, batch).values()
    both = [
        F.cross_entropy(logits[row, : int((tokens[row] != 0).sum()), end][None], target[row, end][None])
        for row in range(2)
        for end in range(2)
    ]
    assert loss.value.item() == pytest.approx(torch.stack(both).mean().item(), rel=1e-6) and loss.weight == 2
    nothing = SpanExtraction(nn.Identity()).scalars(logits, batch._replace(target=target.new_full((3, 2), IGNORE)))
    assert nothing["loss"].value == 0 and nothing["loss"].weight == 0


def test_what_is_refused():
    with pytest.raises(UserError, match=r"task\.num_outputs=3: a span has 2"):
        SpanExtraction(nn.Identity(), 3)
    batch = SpanTexts(*torch.ones(3, 1, 4, dtype=torch.int64)[:2], torch.zeros(1), torch.zeros(1, 2))
    with pytest.raises(UserError, match=r"scores of shape \(1, 4, 2\); Identity returned \(1, 2\)"):
        SpanExtraction(nn.Identity()).scalars(torch.zeros(1, 2), batch)
    task = SpanExtraction(Knows({}, {}))
    with pytest.raises(UserError, match="a file with question, text and answers"):
        task.score([{"question": "who", "text": TEXT}], None, Data())


def test_a_labelled_file_is_scored():
    task, data = SpanExtraction(Knows({"in": 5.0}, {"rome": 5.0})), Data()
    rows = [{"question": "where", "text": TEXT}, {"question": "where", "text": "In Rome"}]
    task.start_scoring()
    task.score(rows[:1], [["Rome", "in Bern"]], data)
    task.score(rows[1:], [["in Rome"]], data)
    assert task.scores() == pytest.approx({"exact_match": 0.5, "f1": (2 / 3 + 1) / 2})
