"""Datasets whose rows have equal shape and fit in memory: tables of numbers, small images, windows of signals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from runner.datamodules.parts.batches import Features, Images, TensorSplit
from runner.datamodules.parts.codecs import ImageInputs, NumberInputs, SequenceInputs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import PARTS, Splits
from runner.datamodules.parts.targets import Targets, targets_for


class ArrayRows:
    """Raw rows held as arrays.

    Args:
        columns: values of each raw column (N, ...).
        target: class numbers (N,) or real values (N, D), in the data's own units.
        splits: rows of each split.
    """

    def __init__(self, columns: Mapping[str, np.ndarray], target: np.ndarray, splits: Splits):
        self.columns, self.target, self.index = columns, target, splits._asdict()

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        index = self.index[part][:limit]
        picked = [values[index] for values in self.columns.values()]
        cells = [values.tolist() if values.ndim == 1 else list(values) for values in picked]
        rows = zip(*cells, strict=True) if cells else [()] * len(index)
        return [dict(zip(self.columns, row, strict=True)) for row in rows]

    def targets(self, part: str) -> np.ndarray:
        return single(self.target[self.index[part]])


def single(target: np.ndarray) -> np.ndarray:
    """Return a single target (N, 1) as a vector, as scikit-learn expects it; several stay a matrix."""
    return target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target


def prepare_tensors(
    batch: Callable[[Tensor, Tensor], NamedTuple],
    inputs: NumberInputs | ImageInputs | SequenceInputs,
    targets: Targets,
    values: np.ndarray,
    target: np.ndarray,
    splits: Splits,
    source: str,
    digest: str,
    facts: dict[str, Any],
) -> Prepared:
    """Encode the rows of each split.

    Args:
        batch: the type of a batch.
        inputs: scales the raw values.
        targets: encodes the target.
        values: raw values (N, ...).
        target: class numbers (N,), or real values (N, D).
        splits: rows of each split.
        source: one line that says where the data came from.
        digest: SHA-256 of what was read.
        facts: what was found, besides the facts of the targets.
    """
    made = {
        part: TensorSplit(batch(inputs.scale(values[rows]), targets.encode(target[rows])))
        for part, rows in zip(PARTS, splits, strict=True)
    }
    arrays = values.T if values.ndim == 2 else [values]
    columns = dict(zip(inputs.columns, arrays, strict=True))
    rows = ArrayRows(columns, target, splits)
    return Prepared(inputs, targets, **made, rows=rows, source=source, digest=digest, facts=facts | targets.facts)


def prepare_numbers(
    names: Sequence[str],
    values: np.ndarray,
    target: np.ndarray,
    splits: Splits,
    source: str,
    digest: str,
    class_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
    standardize: bool = True,
    standardize_targets: bool = True,
    logs: dict[str, float] | None = None,
    clip: float | None = None,
) -> Prepared:
    """Standardise the columns with the training split and make the splits.

    Args:
        names: of the columns.
        values: raw values (N, F).
        target: class numbers (N,), or real values (N, D).
        splits: rows of each split.
        source: one line that says where the data came from.
        digest: SHA-256 of what was read.
        class_names: names of the classes; None = the targets are real values.
        target_names: names of the real-valued targets.
        standardize: whether the inputs are standardised.
        standardize_targets: whether real-valued targets are standardised for the net.
        logs: columns that are replaced by their logarithm, with the number that is added first.
        clip: inputs are clipped at plus and minus this many standard deviations; None = no clipping.
    """
    inputs = NumberInputs.fit(names, values[splits.train], standardize, logs, clip)
    targets = targets_for(target[splits.train], class_names, target_names, standardize_targets)
    facts = {"in_features": len(inputs.names)}
    return prepare_tensors(Features, inputs, targets, values, target, splits, source, digest, facts)


def prepare_images(
    images: np.ndarray,
    target: np.ndarray,
    splits: Splits,
    source: str,
    digest: str,
    class_names: Sequence[str],
) -> Prepared:
    """Make the splits of grey images.

    Args:
        images: grey values 0 .. 255, (N, height, width), uint8.
        target: class numbers (N,).
        splits: rows of each split.
        source: one line that says where the data came from.
        digest: SHA-256 of what was read.
        class_names: names of the classes.
    """
    inputs, targets = ImageInputs("image", [1, *images.shape[1:]]), targets_for(target, class_names)
    facts = {"in_features": int(np.prod(inputs.shape)), "image_shape": inputs.shape}
    return prepare_tensors(Images, inputs, targets, images, target, splits, source, digest, facts)
