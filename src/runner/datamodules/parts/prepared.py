"""A dataset, read, split and encoded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from runner.datamodules.parts.batches import Split
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.splits import OWN, Splits, held_out, smaller, split
from runner.datamodules.parts.targets import Targets
from runner.errors import UserError

Row = TypeVar("Row")


class FoundRows(NamedTuple, Generic[Row]):
    """The rows of a dataset, and a description of them.

    Args:
        name: readable beginning of the prepared folder's name.
        rows: starts a new stream of the rows; called only when nothing is prepared yet.
        source: one line that says where the rows come from.
        digest: SHA-256 of what is read.
        reading: what else decides which rows there are, JSON-able.
    """

    name: str
    rows: Callable[[], Iterable[Row]]
    source: str
    digest: str
    reading: dict[str, Any]


@dataclass(frozen=True)
class SplitSettings:
    """How rows are divided, see `runner.datamodules.parts.splits.split`.

    Args:
        seed: of the division, independent of the run's seed.
        fold: which part is the test split.
        folds: number of equal parts.
        test_share: share of the rows in the test split; None = one of the equal parts.
        train_share: share of the training split that is used.
    """

    seed: int = 0
    fold: int = 0
    folds: int = 10
    test_share: float | None = None
    train_share: float = 1.0

    def __call__(self, rows: int, classes: np.ndarray | None = None, own: np.ndarray | None = None) -> Splits:
        if self.test_share is not None:
            if own is not None and (own == OWN["test"]).any():
                raise UserError(
                    "data.test_share: the source has its own test split, which is kept. Leave the setting out."
                )
            own = held_out(rows, self.test_share, classes, self.seed)
        found = split(rows, classes, own, self.seed, self.fold, self.folds)
        return found._replace(train=smaller(found.train, self.train_share, classes, self.seed))


class Rows(Protocol):
    """The raw rows behind the splits."""

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        """Return the first raw rows of a split: column -> value."""
        ...

    def targets(self, part: str) -> np.ndarray:
        """Return the raw targets of a split: class numbers (N,), or real values (N,) or (N, D)."""
        ...


@dataclass
class Prepared:
    """A dataset, read, split and encoded.

    Args:
        inputs: encodes raw rows.
        targets: encodes labels; None if the data has none.
        train: the training split.
        val: the validation split; None = there is none.
        test: the test split; None = there is none.
        rows: the raw rows; None if there are none, as in an environment.
        source: one line that says where the data came from.
        digest: SHA-256 of what was read, hexadecimal.
        facts: what was found, by the names of the declared facts.
    """

    inputs: Codec
    targets: Targets | None
    train: Split
    val: Split | None
    test: Split | None
    rows: Rows | None
    source: str
    digest: str
    facts: dict[str, Any] = field(default_factory=dict)
