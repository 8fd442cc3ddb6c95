"""Words with their neighbours and with words drawn at random: what word vectors are trained on.

Source: Tomas Mikolov et al., Distributed Representations of Words and Phrases and their Compositionality, 2013,
arXiv:1310.4546, sections 2.2 (negatives) and 2.3 (sub-sampling), and the authors' program word2vec. It drops words of a
frequency f above t with another probability than the paper's equation 5: a word is kept with sqrt(t / f) + t / f.
Departure: the negatives are drawn for a row of words and not for each pair, so that all scores of a row are one product
of matrices.

Shape letters: B rows, T words of a row, W most neighbours to a side, S = T + 2 W words seen, K negatives, V vocabulary,
N words of a batch, P pieces.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.errors import UserError
from runner.text.vocabulary import PAD

LONGEST = 1000  # words of a piece: longer documents are cut


class Contexts(NamedTuple):
    """Rows of consecutive words (B, S) and words drawn at random (B, K), int64; which of the words seen are neighbours
    of each of the T words in the middle of a row, bool (B, T, S)."""

    words: Tensor
    negatives: Tensor
    neighbours: Tensor


class ContextSplit:
    """The words of some documents; a batch has about as many rows as are asked for, before any word is left out.

    Every epoch draws again which words are left out, how far the neighbours of each word reach, and the negatives. No
    word has neighbours in another document.

    Args:
        tokens: the numbers of all words in one flat array, which may be memory-mapped.
        starts: where each document begins, and where it ends, int64 (D, 2).
        counts: how often each word occurs in training, (V,); words with 0 are left out.
        window: most neighbours to each side.
        dynamic: whether a word reaches only 1 .. window words to each side, drawn for each: near ones count more.
        sample: words of a higher frequency are left out at random; None = all stay.
        noise: words drawn at random for each row.
        power: they are drawn in proportion to their count to this power.
        row_len: words of a row.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        starts: np.ndarray,
        counts: np.ndarray,
        window: int = 5,
        dynamic: bool = True,
        sample: float | None = 1e-3,
        noise: int = 16,
        power: float = 0.75,
        row_len: int = 16,
    ):
        for name, value, least in (("window", window, 1), ("noise", noise, 0), ("row_len", row_len, 1)):
            if value < least:
                raise UserError(f"task.contexts.{name} must be at least {least}, received {value}.")
        if sample is not None and sample <= 0:
            raise UserError(f"task.contexts.sample must be above 0, or null; received {sample}.")
        self.tokens = tokens
        self.begin, self.length = stretches(starts)  # (P,)
        self.window, self.dynamic, self.noise, self.row_len = window, dynamic, noise, row_len
        self.kept = torch.from_numpy(kept_share(counts, sample))  # (V,)
        self.chances = torch.from_numpy((counts.astype(np.float64) ** power * (counts > 0)).cumsum())  # (V,)
        place = torch.arange(row_len + 2 * window) - window  # (S,)
        apart = (place - torch.arange(row_len)[:, None]).abs()  # (T, S)
        self.apart = torch.where(apart == 0, window + 1, apart).to(torch.int16)  # no word is its own neighbour

    def __len__(self) -> int:
        return len(self.length)

    def order(self, batch_size: int, draw: torch.Generator | None) -> Sequence[Tensor]:
        """Pieces of each batch: about `batch_size` rows of words, in every epoch the same number of batches."""
        size = len(self)
        order = torch.arange(size) if draw is None else torch.randperm(size, generator=draw)
        ends = torch.from_numpy(self.length)[order].cumsum(0)
        total = int(ends[-1])
        batches = max(total // max(batch_size * self.row_len, int(self.length.max())), 1)  # so none is empty
        return order.tensor_split(torch.searchsorted(ends, torch.arange(1, batches) * total // batches))

    def gather(self, index: Tensor, draw: torch.Generator) -> Contexts:
        kept, piece = self.read(index.numpy(), draw)  # (N,)
        rows = max(-(-len(kept) // self.row_len), 1)
        words, document = self.rows_of(kept, rows, PAD), self.rows_of(piece, rows, -1)  # (B, S)
        middle = document[:, self.window : self.window + self.row_len, None]  # (B, T, 1)
        neighbours = (self.apart <= self.reach(rows, draw)) & (document[:, None] == middle) & (middle >= 0)
        points = torch.rand(rows, self.noise, generator=draw, dtype=torch.float64) * self.chances[-1]
        negatives = torch.searchsorted(self.chances, points, right=True).clamp(max=len(self.chances) - 1)
        return Contexts(words, negatives, neighbours)

    def rows_of(self, flat: np.ndarray, rows: int, filler: int) -> Tensor:
        """Rows of consecutive values (B, S), which overlap by what is seen to both sides."""
        missing = rows * self.row_len - len(flat)
        padded = np.pad(flat, (self.window, self.window + missing), constant_values=filler)
        return torch.from_numpy(padded).unfold(0, self.row_len + 2 * self.window, self.row_len).contiguous()

    def read(self, index: np.ndarray, draw: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The words of some pieces that are not left out, int64 (N,), and the piece that each belongs to."""
        length = self.length[index]
        ends = length.cumsum()
        piece = np.repeat(np.arange(len(index)), length)
        tokens = self.tokens[np.arange(ends[-1]) + (self.begin[index] - ends + length)[piece]].astype(np.int64)
        stays = (torch.rand(len(tokens), generator=draw) < self.kept[tokens]).numpy()
        return tokens[stays], piece[stays]

    def reach(self, rows: int, draw: torch.Generator) -> Tensor:
        """How many words to each side are neighbours of a word, (B, T, 1)."""
        shape = (rows, self.row_len, 1)
        if not self.dynamic:
            return torch.full(shape, self.window, dtype=torch.int16)
        return torch.randint(1, self.window + 1, shape, generator=draw, dtype=torch.int16)


def kept_share(counts: np.ndarray, sample: float | None) -> np.ndarray:
    """Probability with which each word stays, float32 (V,); 0 for one that does not occur."""
    frequency = counts / max(counts.sum(), 1)
    ratio = np.inf if sample is None else sample / np.maximum(frequency, 1e-300)
    return np.where(counts > 0, np.minimum(np.sqrt(ratio) + ratio, 1), 0).astype(np.float32)


def stretches(documents: np.ndarray, longest: int = LONGEST) -> tuple[np.ndarray, np.ndarray]:
    """Cut documents (D, 2) into pieces of at most `longest` words: where each begins and how long it is, int64 (P,)."""
    begin, length = documents[:, 0], documents[:, 1] - documents[:, 0]
    count = -(-length // longest)
    number = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)  # (P,), within the document
    left = np.repeat(length, count) - number * longest
    return np.repeat(begin, count) + number * longest, np.minimum(left, longest)
