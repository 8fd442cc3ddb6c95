"""Splits held as whole arrays, and the loader that gathers a whole batch from them at once.

Shape letters: B batch, T time (tokens of the longest row in the batch).
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from runner.text.vocabulary import PAD

POOL = 50  # batches whose rows are sorted by length together


class Split(Protocol):
    """The rows of one split, in memory or memory-mapped."""

    def __len__(self) -> int: ...

    def gather(self, index: Tensor) -> tuple[Tensor, ...]:
        """Return the batch `(*inputs, target)` of the rows numbered in `index` (int64, (B,))."""
        ...


class TensorSplit:
    """Rows of equal shape, one tensor for each element of the batch.

    Args:
        tensors: inputs and target, all with the same number of rows.
    """

    def __init__(self, *tensors: Tensor):
        assert len({len(tensor) for tensor in tensors}) == 1, "all tensors need the same number of rows"
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def gather(self, index: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.index_select(0, index) for tensor in self.tensors)


class TextSplit:
    """Rows of tokens of unequal length, stored one after another; a batch is padded to its own longest row.

    Args:
        tokens: all tokens of all rows in one flat int32 array, which may be memory-mapped.
        offsets: where each row starts in `tokens`; one more entry than rows, int64.
        targets: one target a row.
        max_len: longest row of a batch, in tokens; the rest of a row is left out.
    """

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray, targets: Tensor, max_len: int):
        assert len(offsets) == len(targets) + 1, "one offset a row and one for the end"
        self.tokens = np.asarray(tokens)
        self.offsets = np.asarray(offsets)
        self.targets = targets
        self.max_len = max_len

    def __len__(self) -> int:
        return len(self.targets)

    def lengths(self) -> Tensor:
        """Tokens of each row, int64 (N,)."""
        return torch.from_numpy(np.minimum(np.diff(self.offsets), self.max_len).astype(np.int64))

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        rows = index.numpy()
        start = self.offsets[rows]
        length = np.minimum(self.offsets[rows + 1] - start, self.max_len)
        column = np.arange(length.max(initial=1))
        inside = column < length[:, None]  # (B, T)
        position = np.where(inside, start[:, None] + column, 0)
        tokens = np.where(inside, self.tokens[position], PAD)
        return torch.from_numpy(tokens.astype(np.int64)), self.targets[index]


class StreamSplit:
    """One long stream of tokens cut into windows; the target is the window one token further on.

    Args:
        tokens: the stream, any integer type, which may be memory-mapped.
        context_len: tokens of a window.
    """

    def __init__(self, tokens: np.ndarray, context_len: int):
        self.tokens = np.asarray(tokens)
        self.context_len = context_len

    def __len__(self) -> int:
        return max(len(self.tokens) - 1, 0) // self.context_len

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        position = index.numpy()[:, None] * self.context_len + np.arange(self.context_len + 1)
        window = torch.from_numpy(self.tokens[position].astype(np.int64))  # (B, T + 1)
        return window[:, :-1], window[:, 1:]


class Subset:
    """Some rows of another split.

    Args:
        split: the split that holds the rows.
        index: numbers of the rows that belong to this one, int64.
    """

    def __init__(self, split: Split, index: Tensor):
        self.split = split
        self.index = torch.as_tensor(index)

    def __len__(self) -> int:
        return len(self.index)

    def lengths(self) -> Tensor:
        """Tokens of each row, int64 (N,), where the other split knows them."""
        return self.split.lengths()[self.index]

    def gather(self, index: Tensor) -> tuple[Tensor, ...]:
        return self.split.gather(self.index[index])


class Loader:
    """Batches of a split, each gathered by one indexing operation.

    The order depends on the seed and the epoch alone, and `state_dict` says how far the epoch has come, so a resumed
    run sees exactly the batches the uninterrupted one would have seen. With several processes each takes its share of
    one global batch of `batch_size * world_size` rows.

    Args:
        split: the rows.
        batch_size: rows a batch in each process.
        shuffle: whether each epoch has an order of its own.
        seed: of the order.
        rank: number of this process, 0 .. world_size - 1.
        world_size: number of processes.
        weights: how often each row is drawn, relative to the others, (N,); an epoch then draws as many rows as there
            are, with replacement. None = each row once an epoch.
        bucket: whether rows of similar length come together, so that there is less padding; the batches still come in
            an order of their own in each epoch.
    """

    batch_sampler = None  # Lightning looks for it wherever it finds a sampler

    def __init__(
        self,
        split: Split,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        weights: Tensor | None = None,
        bucket: bool = False,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, received {batch_size}")
        self.split = split
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        assert weights is None or (shuffle and len(weights) == len(split)), "one weight a row, of a shuffled split"
        self.cumulative = None if weights is None else weights.double().cumsum(0)  # (N,)
        self.lengths = split.lengths() if bucket and shuffle else None  # (N,)
        self.epoch = 0
        self.position = 0  # batches of this epoch already handed out

    @property
    def sampler(self) -> "Loader":
        """Lightning announces each new epoch to `loader.sampler.set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.position = epoch, 0

    def __len__(self) -> int:
        return -(-len(self.split) // (self.batch_size * self.world_size))

    def order(self) -> Tensor:
        """Row numbers in the order of this epoch, a multiple of the number of processes long."""
        rows = len(self.split)
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            if self.cumulative is None:
                order = torch.randperm(rows, generator=generator)
            else:  # a row is drawn where a point on the line of all weights falls on its stretch
                points = torch.rand(rows, generator=generator, dtype=torch.float64) * self.cumulative[-1]
                order = torch.searchsorted(self.cumulative, points, right=True).clamp(max=rows - 1)
            if self.lengths is not None:
                order = self.bucketed(order, self.lengths, generator)
        else:
            order = torch.arange(rows)
        missing = -rows % self.world_size if self.shuffle else 0  # every process needs equally many rows to train on
        return torch.cat([order, order[:missing]])

    def bucketed(self, order: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """Sort each stretch of POOL batches by length, then let the batches change places.

        A batch of all processes together stays whole; the rows that do not fill one come at the end.
        """
        size = self.batch_size * self.world_size
        stretches = [stretch[lengths[stretch].argsort(stable=True)] for stretch in order.split(POOL * size)]
        order = torch.cat(stretches)
        whole = len(order) // size
        places = torch.randperm(whole, generator=generator)
        return torch.cat([order[: whole * size].view(whole, size)[places].flatten(), order[whole * size :]])

    def __iter__(self):
        batches = self.order()[self.rank :: self.world_size].split(self.batch_size)
        first = self.position if self.shuffle else 0
        for number in range(first, len(batches)):
            self.position = number + 1
            yield self.split.gather(batches[number])
        self.position = 0  # whoever goes through it again in the same epoch sees all of it again

    def state_dict(self) -> dict:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.epoch, self.position = state["epoch"], state["position"]
