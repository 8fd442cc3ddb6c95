"""Which row belongs to which split: fixed by a separate seed, stratified if there are classes."""

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from runner.errors import UserError

log = logging.getLogger(__name__)

PARTS = ("train", "val", "test")
OWN: dict[str | None, int] = {None: 0, "train": 0, "val": 1, "test": 2}  # where the source itself puts a row


class Splits(NamedTuple):
    """Row numbers of each split, ascending, int64."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def split(
    rows: int,
    classes: np.ndarray | None = None,
    own: np.ndarray | None = None,
    seed: int = 0,
    fold: int = 0,
    folds: int = 10,
) -> Splits:
    """Divide rows into `folds` equal parts; part `fold` is the test split, the next one validation, the rest
    training.

    The default is therefore an 80/10/10 split, and `fold` = 0 .. `folds` - 1 is a whole cross-validation.
    With classes every part has the same share of each. A class too rare for every split keeps at least
    one row in training.

    Args:
        rows: number of rows.
        classes: class number of each row, for stratification; None = plain random parts.
        own: 0, 1 or 2 for each row that the source itself has put into train, val or test. A split the source
            lacks is cut from its training rows; the test rows of the source are kept whatever `fold` says.
        seed: of the random order; independent of the seed of the run.
        fold: which part is tested, 0 .. folds - 1.
        folds: number of parts, at least 3.

    Raises:
        UserError: `fold` or `folds` out of range, or fewer rows than parts.
    """
    if folds < 3:
        raise UserError(f"data.folds={folds} is too small: train, val and test need at least 3 parts.")
    if not 0 <= fold < folds:
        raise UserError(f"data.fold={fold} is out of range: allowed are 0 .. {folds - 1} (data.folds={folds}).")
    own = np.zeros(rows, dtype=np.int8) if own is None else np.asarray(own)
    pool = np.flatnonzero(own == 0)
    lacks_val, lacks_test = not (own == 1).any(), not (own == 2).any()
    if (lacks_val or lacks_test) and len(pool) < folds:
        raise UserError(
            f"There are only {len(pool)} rows, too few for a split into {folds} parts for train, val and test: "
            f"at least {folds} are needed. Add rows, or give a folder with train, val and test files."
        )
    part = _parts(pool, None if classes is None else np.asarray(classes)[pool], seed, folds)
    placed = own.copy()
    if lacks_test:
        placed[pool[part == fold]] = 2
    if lacks_val:
        placed[pool[part == (fold + 1) % folds]] = 1
    if classes is not None:
        _keep_in_training(placed, pool, np.asarray(classes))
    return Splits(*(np.flatnonzero(placed == number) for number in range(3)))


def held_out(rows: int, share: float, classes: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """Choose a share of the rows for the test split; return 2 for those and 0 for the rest, as `split` takes it.

    Args:
        rows: number of rows.
        share: of the rows in the test split, above 0 and below 1.
        classes: class number of each row, for stratification; None = plain random choice.
        seed: of the choice.

    Raises:
        UserError: a share out of range.
    """
    if not 0 < share < 1:
        raise UserError(f"data.test_share={share} is out of range: above 0 and below 1.")
    order = np.random.default_rng([seed, 1]).permutation(rows)  # a different order from that of the parts
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    own = np.zeros(rows, dtype=np.int8)
    tested = round(rows * share)
    own[order[np.linspace(0, rows - 1, tested).round().astype(np.int64)]] = 2  # evenly over the classes
    return own


def smaller(train: np.ndarray, share: float, classes: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """Return a share of the rows of the training split, ascending; those of a smaller share are among them.

    Args:
        train: row numbers of the training split.
        share: of these rows, above 0 and at most 1.
        classes: class number of every row of the data; the share is then that of each class, at least one row.
        seed: of the choice.
    """
    if share == 1:
        return train
    order = np.random.default_rng([seed, 2]).permutation(train)
    kinds = np.zeros(len(order)) if classes is None else classes[order]
    kept = [some[: max(1, round(share * len(some)))] for kind in np.unique(kinds) if len(some := order[kinds == kind])]
    return np.sort(np.concatenate(kept))


def by_group(groups: np.ndarray, splitting: Callable[..., Splits], own: np.ndarray | None = None) -> Splits:
    """Divide rows so that all rows of a group are in the same split.

    Args:
        groups: group of each row (N,): a person, a block of measurements.
        splitting: divides the groups, see `split`.
        own: 0, 1 or 2 for each row that the source itself has put into train, val or test.
    """
    names, first, number = np.unique(groups, return_index=True, return_inverse=True)
    placed = splitting(len(names), None, None if own is None else own[first])
    return Splits(*(np.flatnonzero(np.isin(number, part)) for part in placed))


def _parts(pool: np.ndarray, classes: np.ndarray | None, seed: int, folds: int) -> np.ndarray:
    """Deal out the rows like cards, class by class in random order; return the part of each row."""
    order = np.random.default_rng(seed).permutation(len(pool))
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    part = np.empty(len(pool), dtype=np.int64)
    part[order] = np.arange(len(pool)) % folds
    return part


def _keep_in_training(placed: np.ndarray, pool: np.ndarray, classes: np.ndarray) -> None:
    """Move the rows of a class that training would never see back into training."""
    seen = np.unique(classes[placed == 0])
    unseen = pool[~np.isin(classes[pool], seen)]
    if len(unseen):
        placed[unseen] = 0
        log.warning("%d rows of classes too rare to be split all went to the training split", len(unseen))
