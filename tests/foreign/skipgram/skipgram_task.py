"""Word vectors: tell the neighbours of a word from words that are drawn at random."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from skipgram_data import Neighbours
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.errors import UserError, closest
from runner.tasks.base import Question, Task
from runner.tasks.means import Scalars


class SkipGram(Task):
    """Logistic loss of one neighbour and of all negatives of the batch.

    Args:
        net: scores words in the middle (B,) with their neighbours (B,) and with negatives (K,).
        negatives: words that are drawn for a batch.
        nearest: words that are named for `predict near=WORD`.
    """

    shared = (2,)  # the negatives
    at_use = ("nearest",)

    def __init__(self, net: Any, negatives: int, nearest: int = 3):
        super().__init__(net)
        self.negatives, self.nearest = negatives, nearest

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Neighbours:
        words = torch.arange(facts["vocab_size"]).repeat(2)  # all of them, so that all vectors learn
        negatives = torch.randint(facts["vocab_size"], (self.negatives,), generator=draw)
        return Neighbours(words, negatives, words.flip(0))

    def inputs(self, batch: Neighbours) -> tuple[Tensor, ...]:
        return batch.middle, batch.target, batch.negatives

    def step(self, batch: Neighbours) -> Scalars:
        right, wrong = self.net(*self.inputs(batch))  # (B,), (B, K)
        return {"loss": (-F.logsigmoid(right) - F.logsigmoid(-wrong).sum(dim=1)).mean()}

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        words = torch.arange(rows) % len(data.inputs.vocabulary)
        return words, words.flip(0), torch.zeros(self.negatives, dtype=torch.int64)

    def questions(self) -> dict[str, Question]:
        return {"near": self.near}

    def near(self, word: str, data: DataModule) -> list[dict]:
        """The words whose vectors point into the same direction."""
        vocabulary = data.inputs.vocabulary
        if word not in vocabulary.numbers:
            raise UserError(f"near={word}: the text has no such word.{closest(word, vocabulary.tokens)}")
        cosines, numbers = self.net.nearest(vocabulary.numbers[word], len(vocabulary), self.nearest)
        found = zip(vocabulary.decode(numbers.tolist()), cosines.tolist(), strict=True)
        return [{"word": near, "cosine": cosine} for near, cosine in found]

    def write_files(self, folder: Path, data: DataModule) -> None:
        """Write vectors.txt as word2vec does: a heading, then a word and its numbers a line."""
        words = data.inputs.vocabulary.tokens
        rows = self.net.middle.weight.detach()[: len(words)].tolist()
        lines = [f"{len(words)} {len(rows[0])}"]
        lines += [" ".join([word, *(f"{value:.6f}" for value in row)]) for word, row in zip(words, rows, strict=True)]
        (folder / "vectors.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
