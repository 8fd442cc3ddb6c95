"""Splits held as whole arrays, and the loader that gathers a whole batch from them at once.

A batch is a NamedTuple: its last field is the target, the others say what they hold. Another kind of objective
may define its own batch.

Shape letters: B batch, T time (tokens of the longest row in the batch), F features, C channels, H height, W width,
D targets.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from runner.errors import UserError
from runner.text.vocabulary import PAD

IGNORE = -100  # a target that does not count
POOL = 50  # batches whose rows are sorted by length together


class Texts(NamedTuple):
    """Rows of token numbers (B, T), int64, shorter ones padded with PAD; classes (B,) or real values (B, D)."""

    tokens: Tensor
    target: Tensor


class TextPairs(NamedTuple):
    """Two texts in one row, as BERT reads them: `[CLS] first [SEP] second [SEP]`.

    Token numbers (B, T), int64, padded with PAD; `segments` (B, T), int64: 0 = first text and padding, 1 = second text;
    classes (B,), real values (B, D), or first and last token of a span (B, 2).
    """

    tokens: Tensor
    segments: Tensor
    target: Tensor


class Features(NamedTuple):
    """Rows of numbers (B, F), float32; classes (B,) or real values (B, D)."""

    features: Tensor
    target: Tensor


class Images(NamedTuple):
    """Pixels (B, C, H, W), float32; classes (B,)."""

    images: Tensor
    target: Tensor


class Windows(NamedTuple):
    """Signals over time (B, T, C), float32; classes (B,) or real values (B, D)."""

    signals: Tensor
    target: Tensor


class Stream(NamedTuple):
    """Windows of a stream of tokens (B, T), int64; the same windows shifted by one token (B, T)."""

    tokens: Tensor
    target: Tensor


class Split(Protocol):
    """What a loader goes through: rows in memory or memory-mapped, or an environment that generates them."""

    def __len__(self) -> int:
        """Rows of an epoch."""
        ...

    def gather(self, index: Tensor, draw: torch.Generator) -> NamedTuple:
        """Return the batch of the rows numbered in `index` (int64, (B,)).

        Whatever is drawn for the batch, such as masks or negative examples, is drawn from `draw`: it is seeded by the
        run's seed, the epoch and the number of the batch, so that a resumed run draws the same.
        """
        ...


@runtime_checkable
class Ordered(Protocol):
    """A split that says which rows make a batch: lanes of one long stream, or equal numbers of tokens."""

    def order(self, batch_size: int, draw: torch.Generator | None) -> Sequence[Tensor]:
        """Return the row numbers of each batch of an epoch; every epoch has the same number of batches.

        Args:
            batch_size: rows of a batch, all processes together.
            draw: seeded by the run's seed and the epoch; None in evaluation, where nothing is shuffled.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """A split that knows how long its rows are."""

    def lengths(self) -> Tensor:
        """Tokens of each row, int64 (N,)."""
        ...


class TensorSplit:
    """Rows of equal shape.

    Args:
        batch: all rows as one batch of whole tensors, all with the same number of rows.
    """

    def __init__(self, batch: NamedTuple):
        assert len({len(tensor) for tensor in batch}) == 1, "all tensors need the same number of rows"
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch[0])

    def gather(self, index: Tensor, draw: torch.Generator) -> NamedTuple:
        return self.batch._make([tensor.index_select(0, index) for tensor in self.batch])


class TextSplit:
    """Rows of tokens of unequal length, stored one after another; a batch is padded to its own longest row.

    Args:
        tokens: all tokens of all rows in one flat int32 array, which may be memory-mapped.
        offsets: where each row starts in `tokens`; one more entry than rows, int64.
        targets: one target for each row.
        max_len: longest row of a batch, in tokens; the rest of a row is left out.
    """

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray, targets: Tensor, max_len: int):
        assert len(offsets) == len(targets) + 1, "one offset for each row and one for the end"
        self.tokens = np.asarray(tokens)
        self.offsets = np.asarray(offsets)
        self.targets = targets
        self.max_len = max_len

    def __len__(self) -> int:
        return len(self.targets)

    def lengths(self) -> Tensor:
        """Tokens of each row, int64 (N,)."""
        return torch.from_numpy(np.minimum(np.diff(self.offsets), self.max_len).astype(np.int64))

    def gather(self, index: Tensor, draw: torch.Generator) -> Texts:
        return Texts(padded(self.tokens, self.offsets, index, self.max_len), self.targets[index])


def padded(tokens: np.ndarray, offsets: np.ndarray, index: Tensor, max_len: int) -> Tensor:
    """Some rows of a flat array as (B, T), int64, PAD behind the shorter ones.

    Args:
        tokens: all tokens of all rows.
        offsets: where each row starts; one more entry than rows.
        index: numbers of the rows, int64 (B,).
        max_len: tokens of a row that are kept.
    """
    rows = index.numpy()
    start = offsets[rows]
    length = np.minimum(offsets[rows + 1] - start, max_len)
    column = np.arange(length.max(initial=1))
    inside = column < length[:, None]  # (B, T)
    position = np.where(inside, start[:, None] + column, 0)
    return torch.from_numpy(np.where(inside, tokens[position], PAD).astype(np.int64))


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
        assert isinstance(self.split, Measured), f"{type(self.split).__name__} does not know how long its rows are"
        return self.split.lengths()[self.index]

    def gather(self, index: Tensor, draw: torch.Generator) -> NamedTuple:
        return self.split.gather(self.index[index], draw)


class Loader:
    """Batches of a split, each gathered by one indexing operation.

    The order depends on the seed and the epoch alone, and `state_dict` says how far the epoch has come, so a resumed
    run sees exactly the batches the uninterrupted one would have seen. With several processes each takes its share of
    one global batch of `batch_size * world_size` rows. An `Ordered` split forms the batches itself.

    Args:
        split: the rows.
        batch_size: rows of a batch in each process.
        shuffle: whether each epoch has a new random order.
        seed: of the order.
        rank: number of this process, 0 .. world_size - 1.
        world_size: number of processes.
        weights: how often each row is drawn, relative to the others, (N,); an epoch then draws as many rows as there
            are, with replacement. None = each row once an epoch.
        bucket: whether rows of similar length come together, so that there is less padding; the batches still come in
            a new random order in each epoch.
        short_first: in this many epochs at the beginning the rows come from the shortest to the longest, those of
            equal length in random order (Amodei et al. 2016, arXiv:1512.02595, section 3.3, did so in the first).
    """

    batch_sampler = None  # Lightning expects it wherever there is a sampler

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
        short_first: int = 0,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, received {batch_size}")
        self.split = split
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        assert weights is None or (shuffle and len(weights) == len(split)), (
            "one weight for each row, of a shuffled split"
        )
        if weights is not None and isinstance(split, Ordered):
            raise UserError("task.imbalance=oversample draws from all rows, which data.streaming=true does not hold.")
        self.cumulative = None if weights is None else weights.double().cumsum(0)  # (N,)
        self.bucket, self.short_first = bucket, short_first
        self.lengths: Tensor | None = None  # (N,)
        if (bucket or short_first) and shuffle:
            assert isinstance(split, Measured), f"{type(split).__name__} does not know how long its rows are"
            self.lengths = split.lengths()
        self.epoch = 0
        self.position = 0  # batches of this epoch already yielded

    @property
    def sampler(self) -> "Loader":
        """Lightning announces each new epoch to `loader.sampler.set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.position = epoch, 0

    def __len__(self) -> int:
        if isinstance(self.split, Ordered):
            return len(self.split.order(self.batch_size * self.world_size, None))
        return -(-len(self.split) // (self.batch_size * self.world_size))

    def batches(self) -> Iterator[Tensor]:
        """Yield the row numbers of each batch of this epoch that is left, the share of this process."""
        first = self.position if self.shuffle else 0
        if isinstance(self.split, Ordered):
            whole = self.split.order(self.batch_size * self.world_size, self.draw(0) if self.shuffle else None)
            yield from (self.share(whole[number]) for number in range(first, len(whole)))
        else:
            yield from self.order()[self.rank :: self.world_size].split(self.batch_size)[first:]

    def share(self, rows: Tensor) -> Tensor:
        """The rows of this process; in training each has at least one, of a batch with fewer rows the first."""
        own = rows[self.rank :: self.world_size]
        return rows[:1] if self.shuffle and not len(own) else own

    def draw(self, number: int) -> torch.Generator:
        """Random numbers of this epoch: 0 = those of its order, 1 and up = those of a batch."""
        return torch.Generator().manual_seed(self.seed_of(number))

    def seed_of(self, number: int) -> int:
        epoch = self.epoch if self.shuffle else 0  # every validation is of the same batches
        return self.seed * 1_000_003 + epoch + number * 0x9E3779B1  # far from the next epochs and seeds

    def order(self) -> Tensor:
        """Row numbers in the order of this epoch; their number is a multiple of the number of processes."""
        rows = len(self.split)
        if self.shuffle:
            generator = self.draw(0)
            if self.cumulative is None:
                order = torch.randperm(rows, generator=generator)
            else:  # a row is drawn where a point on the line of all weights falls on its stretch
                points = torch.rand(rows, generator=generator, dtype=torch.float64) * self.cumulative[-1]
                order = torch.searchsorted(self.cumulative, points, right=True).clamp(max=rows - 1)
            if self.lengths is not None and self.epoch < self.short_first:
                order = order[self.lengths[order].argsort(stable=True)]
            elif self.lengths is not None and self.bucket:
                order = self.bucketed(order, self.lengths, generator)
        else:
            order = torch.arange(rows)
        missing = -rows % self.world_size if self.shuffle else 0  # every process needs the same number of training rows
        return torch.cat([order, order[:missing]])

    def bucketed(self, order: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """Sort each stretch of POOL batches by length, then shuffle the batches.

        A batch of all processes together stays whole; the rows that do not fill one come at the end.
        """
        size = self.batch_size * self.world_size
        stretches = [stretch[lengths[stretch].argsort(stable=True)] for stretch in order.split(POOL * size)]
        order = torch.cat(stretches)
        whole = len(order) // size
        places = torch.randperm(whole, generator=generator)
        return torch.cat([order[: whole * size].view(whole, size)[places].flatten(), order[whole * size :]])

    def __iter__(self) -> Iterator[NamedTuple]:
        draw = torch.Generator()  # one for all batches: reseeding it takes a microsecond
        for number, rows in enumerate(self.batches(), self.position if self.shuffle else 0):
            self.position = number + 1
            draw.manual_seed(self.seed_of(1 + number * self.world_size + self.rank))
            yield self.split.gather(rows, draw)
        self.position = 0  # iterating again in the same epoch starts from the beginning

    def state_dict(self) -> dict:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.epoch, self.position = state["epoch"], state["position"]
