"""Pairs of neighbouring words of a text; each batch draws words that are no neighbours, as negatives for all of it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import TextInputs
from runner.datamodules.parts.prepared import Prepared
from runner.errors import UserError
from runner.files import cache
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import Vocabulary


class Neighbours(NamedTuple):
    """Words in the middle (B,), negatives that all of them share (K,), and a neighbour of each (B,)."""

    middle: Tensor
    negatives: Tensor
    target: Tensor


class PairSplit:
    """Pairs of words that stand near each other.

    Args:
        pairs: the word in the middle and its neighbour, int64 (N, 2).
        frequencies: how often each word occurs, (V,).
        negatives: words drawn for a batch.
    """

    def __init__(self, pairs: Tensor, frequencies: Tensor, negatives: int):
        self.pairs, self.chances, self.negatives = pairs, frequencies**0.75, negatives

    def __len__(self) -> int:
        return len(self.pairs)

    def gather(self, index: Tensor, draw: torch.Generator) -> Neighbours:
        negatives = torch.multinomial(self.chances, self.negatives, replacement=True, generator=draw)
        return Neighbours(self.pairs[index, 0], negatives, self.pairs[index, 1])


@dataclass(kw_only=True, eq=False, repr=False)
class NeighbouringWords(DataModule):
    """The words of a text file, a sentence a line. All of it is for training: there is no validation and no test.

    Args:
        path: the file.
        vocab_size: words at most, PAD and UNK included.
        window: words to each side that are neighbours.
        negatives: words drawn for a batch.
    """

    path: str
    vocab_size: int = 100
    window: int = 2
    negatives: int = 5

    def prepare(self) -> Prepared:
        file = Path(self.path)
        if not file.exists():
            raise UserError(f"data.path={self.path}: there is no such file.")
        pipeline = Pipeline(TokenSettings())
        sentences = [pipeline(line) for line in file.read_text(encoding="utf-8").splitlines()]
        vocabulary = Vocabulary.build(Counter(word for words in sentences for word in words), self.vocab_size)
        numbers = [vocabulary.encode(words) for words in sentences]
        pairs = [
            (middle, words[place])
            for words in numbers
            for number, middle in enumerate(words)
            for place in range(max(number - self.window, 0), min(number + self.window + 1, len(words)))
            if place != number
        ]
        counted = Counter(number for words in numbers for number in words)
        frequencies = torch.tensor([float(counted[number]) for number in range(len(vocabulary))])
        return Prepared(
            TextInputs("text", pipeline, vocabulary),
            targets=None,
            train=PairSplit(torch.tensor(pairs), frequencies, self.negatives),
            val=None,
            test=None,
            rows=None,
            source=str(file),
            digest=cache.file_digest(file),
        )
