"""Losses of hidden words and next sentences, and what is answered."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.masked import MASKED_MARKS, Masked, MaskedTexts
from runner.tasks.masked_lm import MaskedLM
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import Vocabulary

WORDS = ["the", "film", "was", "good", "bad"]
VOCABULARY = Vocabulary([*MASKED_MARKS, *WORDS], MASKED_MARKS)
V = len(VOCABULARY)


class Fixed(nn.Module):
    """Says the same whatever it reads: "good" before "bad" before all others."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.arange(V).float()
        self.words[VOCABULARY.numbers["good"]] = V + 1.0
        self.words[VOCABULARY.mask] = 99.0  # no word

    def forward(self, tokens, segments=None, places=None):
        asked = tokens if places is None else places
        return self.words.expand(*asked.shape, V).clone(), torch.tensor([2.0, 1.0]).expand(len(tokens), 2)


class Data:
    """Stands for the data of a trained net."""

    targets = None

    def __init__(self) -> None:
        self.inputs = MaskedTexts("text", Pipeline(TokenSettings("word"), 7), VOCABULARY)

    def encode(self, rows):
        return self.inputs.encode(rows)


def batch(good: int, others: int) -> Masked:
    """Rows with one hidden word each, "good" in the first of them, and one row with two more of "film"."""
    rows = good + others
    target = torch.full((rows, 3), IGNORE)
    target[:, 0] = VOCABULARY.numbers["film"]
    target[:good, 0] = VOCABULARY.numbers["good"]
    target[-1] = VOCABULARY.numbers["film"]
    zeros = torch.zeros(rows, 5, dtype=torch.int64)
    return Masked(zeros, zeros, torch.zeros_like(target), torch.arange(rows) % 2, target)


def test_losses_are_means_over_hidden_words_and_over_rows() -> None:
    task, net = MaskedLM(Fixed(), V), Fixed()
    found = batch(2, 2)
    scalars = task.step(found)
    real = found.target != IGNORE
    of_words = F.cross_entropy(net.words.expand(6, V), found.target[real])
    of_rows = F.cross_entropy(torch.tensor([[2.0, 1.0]] * 4), found.elsewhere)
    assert scalars["loss"].item() == pytest.approx((of_words + of_rows).item(), rel=1e-6)
    assert scalars["masked_accuracy"].value.item() == 0.0  # the mark itself is said
    assert scalars["masked_accuracy"].weight == 6 and scalars["next_accuracy"].item() == 0.5


def test_a_split_in_unequal_batches_has_the_loss_of_all_its_words() -> None:
    task = MaskedLM(Fixed(), V)
    task.on_validation_epoch_start()
    parts = [batch(3, 1), batch(1, 1)]
    for part in parts:
        task.validation_step(part, 0)
    metrics = task.evaluation_metrics()
    targets = torch.cat([part.target[part.target != IGNORE] for part in parts])
    rows = torch.cat([part.elsewhere for part in parts])
    words = F.cross_entropy(Fixed().words.expand(len(targets), V), targets).item()
    expected = words + F.cross_entropy(torch.tensor([[2.0, 1.0]] * 6), rows).item()
    assert metrics["masked_loss"] == pytest.approx(words, rel=1e-6)
    assert metrics["loss"] == pytest.approx(expected, rel=1e-6)


def test_hidden_words_are_filled_in() -> None:
    task, data = MaskedLM(Fixed(), V, guesses=2), Data()
    rows = [{"text": "The film was <mask>"}, {"text": "the <mask> was bad"}, {"text": "good film"}]
    first, second, third = task.answer(rows, data)
    assert first["filled"] == "the film was good" and first["words"].startswith("good 0.8")
    assert ", bad 0.1" in first["words"]
    assert second["filled"] == "the good was bad" and third == {"filled": "good film", "words": ""}


def test_a_long_text_keeps_its_marks() -> None:
    (tokens,) = Data().inputs.encode([{"text": "the film was good <mask> the film was bad"}, {"text": ""}])
    assert VOCABULARY.decode(tokens[0].tolist()) == ["<start>", "the", "film", "was", "good", "<mask>", "<end>"]
    assert VOCABULARY.decode(tokens[1].tolist())[:3] == ["<start>", "<unk>", "<end>"]
