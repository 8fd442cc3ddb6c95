"""Loss and scores of tags, and what is answered. The scores of SAMPLES are those of seqeval 1.2.2 (default mode)."""

import pytest
import torch
from objectives import Given

from runner.datamodules.parts.codecs import TextInputs
from runner.datamodules.parts.tags import IGNORE, PiecedWords, Tagged, Tags, tag_names
from runner.errors import UserError
from runner.tasks.tagging import SpanScores, Tagging
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import END, SPECIALS, START, Vocabulary

NAMES = tag_names(["LOC", "PER"])
MARKED = (*SPECIALS, START, END)
SAMPLES = [  # said, true
    ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC"),
    ("B-PER O O O", "B-PER I-PER O O"),
    ("O I-LOC I-LOC O", "O B-LOC I-LOC O"),
    ("B-LOC I-PER I-PER O", "B-LOC O O B-PER"),
    ("B-LOC B-LOC O O", "B-LOC I-LOC O O"),
]


class Data:
    """Stands for the data of a trained tagger."""

    class_names = None

    def __init__(self) -> None:
        words = Vocabulary([*SPECIALS, "anna", "lives", "in", "rome", "."])
        self.inputs = TextInputs("text", Pipeline(TokenSettings("regex"), 6), words)
        self.targets = Tags(NAMES)

    def encode(self, rows):
        return self.inputs.encode(rows)


class Knows(Given):
    """Says the same tag for the same word."""

    def forward(self, tokens):
        of_words = torch.zeros(7, dtype=torch.int64)
        of_words[2], of_words[5] = NAMES.index("B-PER"), NAMES.index("B-LOC")
        return torch.nn.functional.one_hot(of_words[tokens], len(NAMES)).float() * 9


def numbers(tags: str) -> list[int]:
    return [NAMES.index(tag) for tag in tags.split()]


def test_scores_of_spans() -> None:
    scores = SpanScores(NAMES)
    for some in (SAMPLES[:2], SAMPLES[2:]):
        scores.update(
            torch.tensor([numbers(said) for said, _ in some]), torch.tensor([numbers(true) for _, true in some])
        )
    found = {name: round(value.item(), 4) for name, value in scores.compute().items()}
    assert found == {"precision": 0.5, "recall": 0.5714, "f1": 0.5333, "f1_LOC": 0.6667, "f1_PER": 0.3333}


def test_what_stands_behind_a_sentence_does_not_count() -> None:
    scores = SpanScores(NAMES)
    scores.update(torch.tensor([[3, 4, 3]]), torch.tensor([[3, 4, IGNORE]]))
    assert scores.compute()["f1"] == 1


def test_nothing_said_is_no_division_by_zero() -> None:
    scores = SpanScores(NAMES)
    scores.update(torch.tensor([[0, 0]]), torch.tensor([[0, 0]]))
    assert scores.compute()["f1"] == 0


def test_loss_and_accuracy_are_means_over_tokens() -> None:
    logits = torch.zeros(2, 3, len(NAMES))
    logits[0, 0, 1] = 5.0
    target = torch.tensor([[1, 2, 3], [4, IGNORE, IGNORE]])
    scalars = Tagging(Given(), len(NAMES)).step(Tagged(logits, target))
    each = -logits.log_softmax(dim=2)[target != IGNORE].gather(1, target[target != IGNORE][:, None])
    assert scalars["loss"].value.item() == pytest.approx(each.mean().item(), rel=1e-5)
    assert scalars["accuracy"].value.item() == pytest.approx(0.25)
    assert scalars["loss"].weight == 4


def test_answers_are_tags_and_spans() -> None:
    task, data = Tagging(Knows(), len(NAMES)), Data()
    answers = task.answer([{"text": "Anna lives in Rome."}, {"text": "in"}], data)
    assert answers[0] == {
        "tokens": "anna lives in rome .",
        "tags": "B-PER O O B-LOC O",
        "spans": "PER: anna; LOC: rome",
    }
    assert answers[1] == {"tokens": "in", "tags": "O", "spans": ""}


class InLetters(Data):
    """The same with words cut into letters."""

    def __init__(self) -> None:
        super().__init__()
        letters = Vocabulary([*MARKED, *"anliverom"], MARKED)
        self.inputs = PiecedWords("text", Pipeline(TokenSettings("char"), 20), letters, "cased")


class KnowsLetters(Given):
    """Says B-LOC for a word that begins with r, and I-PER for every letter o."""

    def forward(self, tokens):
        of_letters = torch.zeros(len(MARKED) + 9, dtype=torch.int64)
        of_letters[len(MARKED) + 6], of_letters[len(MARKED) + 7] = NAMES.index("B-LOC"), NAMES.index("I-PER")
        return torch.nn.functional.one_hot(of_letters[tokens], len(NAMES)).float() * 9


def test_the_first_piece_of_a_word_speaks_for_it() -> None:
    task, data = Tagging(KnowsLetters(), len(NAMES)), InLetters()
    rows = [{"text": "anna in rom"}, {"text": "on"}]
    one, other = task.answer(rows, data)
    assert one == {"tokens": "anna in rom", "tags": "O O B-LOC", "spans": "LOC: rom"}
    assert other["tags"] == "I-PER"
    task.connect(data)
    task.start_scoring()
    task.score(rows, [["B-PER", "O", "B-LOC"], ["I-PER"]], data)
    scores = task.scores()
    assert scores["accuracy"] == pytest.approx(0.75) and scores["f1"] == pytest.approx(2 * 2 / (2 + 3))


def test_a_labelled_file_is_scored() -> None:
    task, data = Tagging(Knows(), len(NAMES)), Data()
    task.connect(data)
    task.start_scoring()
    truth = data.targets.read({"tags": "B-PER O O O"}, "row 1")
    task.score([{"text": "Anna lives in Rome"}], [truth], data)
    scores = task.scores()
    assert scores["f1"] == pytest.approx(2 / 3) and scores["accuracy"] == pytest.approx(0.75)
    with pytest.raises(UserError, match="4 tokens and 1 tags"):
        task.score([{"text": "Anna lives in Rome"}], [["O"]], data)
    with pytest.raises(UserError, match="text and tags"):
        task.score([{"text": "Anna"}], None, data)
