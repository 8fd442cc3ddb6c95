"""Token numbers of many documents in one flat array, and the windows that language models read from it.

A model of the next token predicts every token of a document, the first one from the token that stands before the
document in the array. `runner.datamodules.corpus` therefore begins the array with an end mark and ends every document
with one: the first word of each is predicted from an end mark.

Shape letters: N tokens, D documents, W windows, B batch, T time (tokens of the longest window in the batch).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import IGNORE, Stream
from runner.text.vocabulary import PAD


class Carried(NamedTuple):
    """Windows of tokens (B, T), int64; whether each continues the same row of the batch before, bool (B,); the
    windows shifted by one token (B, T)."""

    tokens: Tensor
    continues: Tensor
    target: Tensor


class TokenStore:
    """Documents of token numbers, one after another; nothing here changes them.

    Args:
        tokens: the numbers of all tokens (N,), any integer type, which may be memory-mapped.
        starts: where each document starts in `tokens`, and where the last one ends, int64 (D + 1,). The first one is
            at least 1, so that a token stands before every document.
    """

    def __init__(self, tokens: np.ndarray, starts: np.ndarray):
        assert starts[0] >= 1, "a token has to stand before the first document"
        self.tokens = np.asarray(tokens)
        self.starts = np.asarray(starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def lengths(self) -> np.ndarray:
        """Tokens of each document, int64 (D,)."""
        return np.diff(self.starts)

    def documents(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """The tokens of some documents."""
        return [self.tokens[self.starts[number] : self.starts[number + 1]] for number in indices]


def one_document(tokens: np.ndarray) -> TokenStore:
    """Return a store of one text (N,), whose first token is only read, since none stands before it."""
    return TokenStore(tokens, np.array([1, max(len(tokens), 1)]))


class WindowSplit:
    """Documents cut into windows; none crosses the end of a document, so the last one of each may be shorter.

    Args:
        store: the documents.
        context_len: most tokens of a window.
        index: numbers of the documents that belong to this split, int64; None = all.
    """

    def __init__(self, store: TokenStore, context_len: int, index: np.ndarray | None = None):
        index = np.arange(len(store)) if index is None else index
        self.store, self.context_len, self.index = store, context_len, index
        self.first = store.starts[index]  # (D,), here the documents of this split
        self.sizes = store.starts[index + 1] - self.first  # (D,)
        self.windows = -(-self.sizes // context_len)  # (D,)
        self.ends = self.windows.cumsum()  # (D,): where the windows of each document end

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def lengths(self) -> Tensor:
        """Tokens of each window, int64 (W,)."""
        found = np.full(len(self), self.context_len)
        found[self.ends[self.windows > 0] - 1] = ((self.sizes - 1) % self.context_len + 1)[self.windows > 0]
        return torch.from_numpy(found)

    def read(self, number: np.ndarray) -> tuple[Tensor, Tensor]:
        """Tokens and targets, int64 (B, T) each, of the windows with these numbers."""
        document = np.searchsorted(self.ends, number, side="right")
        before = (number - self.ends[document] + self.windows[document]) * self.context_len  # tokens of the document
        length = np.minimum(self.sizes[document] - before, self.context_len)[:, None]
        place = np.arange(length.max(initial=1) + 1)  # (T + 1,)
        position = (self.first[document] + before - 1)[:, None] + np.minimum(place, length)
        tokens = torch.from_numpy(self.store.tokens[position].astype(np.int64))  # (B, T + 1)
        inside = torch.from_numpy(place[:-1] < length)  # (B, T)
        return torch.where(inside, tokens[:, :-1], PAD), torch.where(inside, tokens[:, 1:], IGNORE)

    def gather(self, index: Tensor, draw: torch.Generator) -> NamedTuple:
        return Stream(*self.read(index.numpy()))

    def contexts(self, n: int, size: int = 1 << 20) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the n - 1 tokens before each token and the token itself, int64 (M, n - 1) and (M,), M up to `size`.

        Before the beginning of a document stands the token before it, as often as needed.
        """
        ends, back = self.sizes.cumsum(), np.arange(n - 1, 0, -1)
        for begin in range(0, int(self.sizes.sum()), size):
            number = np.arange(begin, min(begin + size, ends[-1]))
            document = np.searchsorted(ends, number, side="right")
            first = self.first[document]
            position = first + number - (ends - self.sizes)[document]
            before = np.maximum(position[:, None] - back, first[:, None] - 1)  # (M, n - 1)
            yield self.store.tokens[before].astype(np.int64), self.store.tokens[position].astype(np.int64)


class LaneSplit(WindowSplit):
    """The windows of `WindowSplit` in lanes: row b of each batch continues row b of the batch before.

    All windows in the order of the text, the documents shuffled in training, are one long strip, which is cut into as
    many equal lanes as a batch has rows. A net can then carry its state from batch to batch. In `order`, ~w stands for
    window w where the lane's last window was the one before it in the same document.

    Args:
        store: the documents.
        context_len: most tokens of a window.
        index: numbers of the documents that belong to this split, int64; None = all.
    """

    def order(self, batch_size: int, draw: torch.Generator | None) -> "Lanes":
        """The batches of an epoch."""
        documents = len(self.ends)
        order = np.arange(documents) if draw is None else torch.randperm(documents, generator=draw).numpy()
        counts = self.windows[order]  # (D,)
        number = np.arange(len(self)) - np.repeat(counts.cumsum() - counts, counts)  # (W,), within the document
        strip = np.repeat((self.ends - self.windows)[order], counts) + number  # (W,)
        return Lanes(strip, number > 0, batch_size)

    def gather(self, index: Tensor, draw: torch.Generator) -> Carried:
        number = index.numpy()
        tokens, target = self.read(np.where(number < 0, ~number, number))
        return Carried(tokens, index < 0, target)


class Lanes(Sequence[Tensor]):
    """A strip of windows cut into lanes: batch k holds window k of every lane.

    Args:
        strip: numbers of the windows, int64 (W,).
        inner: which of them follow the one before in the same document, bool (W,).
        batch_size: lanes; those that are one window longer come first.
    """

    def __init__(self, strip: np.ndarray, inner: np.ndarray, batch_size: int):
        self.strip, self.inner = strip, inner
        steps, longer = divmod(len(strip), batch_size)
        lane = np.arange(batch_size)
        self.first = lane * steps + np.minimum(lane, longer)  # (B,): where each lane begins
        self.steps, self.longer = steps, longer

    def __len__(self) -> int:
        return self.steps + (self.longer > 0)

    def __getitem__(self, number):
        place = self.first[: self.longer if number == self.steps else None] + number
        window = self.strip[place]
        return torch.from_numpy(np.where(self.inner[place] & (number > 0), ~window, window))
