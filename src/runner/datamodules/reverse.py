"""Rows of letters to be written backwards, or copied: what every sequence-to-sequence model has to be able to do."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from runner.datamodules.pair_data import LETTERS, FoundPairs, PairData
from runner.datamodules.parts.pairs import TextPair


@dataclass(kw_only=True, eq=False, repr=False)
class Reverse(PairData):
    """Made here: random rows of letters, and the same rows read from the right.

    Args:
        letters: how many of a, b, c ... are used, in [1, 26].
        longest: letters of a row at most, at least 1.
        rows: drawn for all splits together, at least 1; each is kept once, so there are fewer: of the short ones, which
            are few, one alone would otherwise be a tenth of a split.
    """

    letters: int = 10
    longest: int = 10
    rows: int = 10_000
    src_level: str = "char"
    tgt_level: str = "char"

    backwards: ClassVar[bool] = True

    def find(self) -> FoundPairs:
        step = -1 if self.backwards else 1
        pairs = [TextPair(row, row[::step]) for row in dict.fromkeys(self.drawn())]
        name = type(self).__name__.lower()
        return FoundPairs(
            name,
            lambda: pairs,
            source=f"made here: {len(pairs)} rows of up to {self.longest} of {self.letters} letters",
            digest=hashlib.sha256(repr(pairs).encode()).hexdigest(),
            reading={"made": name},
        )

    def drawn(self) -> Iterator[str]:
        """Yield random rows of letters."""
        draw = np.random.default_rng(self.split_seed)
        for length in draw.integers(1, self.longest, size=self.rows, endpoint=True):
            yield "".join(LETTERS[letter] for letter in draw.integers(0, self.letters, size=length))


class Copy(Reverse):
    """Made here: random rows of letters, and the same rows again."""

    backwards = False
