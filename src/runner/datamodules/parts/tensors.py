"""Datasets whose rows have equal shape and fit in memory: tables of numbers and small images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from runner.datamodules.parts.batches import Features, Images, TensorSplit
from runner.datamodules.parts.inputs import Classes, ImageInputs, NumberInputs, Numbers, Targets
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import PARTS, Splits


class NumberRows:
    """Raw rows of a table of numbers.

    Args:
        names: of the columns.
        values: raw values (N, F).
        target: class numbers (N,) or real values (N, D), in the data's own units.
        splits: rows of each split.
    """

    def __init__(self, names: Sequence[str], values: np.ndarray, target: np.ndarray, splits: Splits):
        self.names, self.values, self.target, self.splits = list(names), values, target, splits

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        values = self.values[getattr(self.splits, part)[:limit]]
        return [dict(zip(self.names, row, strict=True)) for row in values.tolist()]

    def targets(self, part: str) -> np.ndarray:
        return _single(self.target[getattr(self.splits, part)])


class ImageRows:
    """Raw grey images.

    Args:
        column: name of the raw column.
        images: grey values 0 .. 255, (N, height, width), uint8.
        target: class numbers (N,).
        splits: rows of each split.
    """

    def __init__(self, column: str, images: np.ndarray, target: np.ndarray, splits: Splits):
        self.column, self.images, self.target, self.splits = column, images, target, splits

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        return [{self.column: image} for image in self.images[getattr(self.splits, part)[:limit]]]

    def targets(self, part: str) -> np.ndarray:
        return self.target[getattr(self.splits, part)]


class SequenceRows:
    """Raw windows of signals.

    Args:
        column: name of the raw column.
        windows: raw values (N, T, C).
        target: class numbers (N,).
        splits: rows of each split.
    """

    def __init__(self, column: str, windows: np.ndarray, target: np.ndarray, splits: Splits):
        self.column, self.windows, self.target, self.splits = column, windows, target, splits

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        return [{self.column: window} for window in self.windows[getattr(self.splits, part)[:limit]]]

    def targets(self, part: str) -> np.ndarray:
        return self.target[getattr(self.splits, part)]


def tensor_splits(batch: NamedTuple, splits: Splits) -> dict[str, TensorSplit]:
    """Return the three splits by name.

    Args:
        batch: all rows, encoded, as one batch.
        splits: rows of each split.
    """
    index = [torch.from_numpy(part) for part in splits]
    return {
        name: TensorSplit(batch._make([tensor[rows] for tensor in batch]))
        for name, rows in zip(PARTS, index, strict=True)
    }


def _single(values: np.ndarray) -> np.ndarray:
    """One target is a vector for scikit-learn, several are a matrix."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


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
        logs: columns that are replaced by their logarithm, each with the number that is added before.
        clip: inputs are cut off at plus and minus this many standard deviations; None = they are not.
    """
    inputs = NumberInputs.fit(names, values[splits.train], standardize, logs, clip)
    targets: Targets
    if class_names is not None:
        targets, facts = Classes(class_names), {"num_classes": len(class_names)}
    else:
        targets = Numbers.fit(target_names or [], target[splits.train], standardize_targets)
        facts = {"num_targets": target.shape[1]}
    made = tensor_splits(Features(inputs.scale(values), targets.encode(target)), splits)
    return Prepared(
        inputs, targets, **made, rows=NumberRows(names, values, target, splits), source=source, digest=digest,
        facts={"in_features": len(inputs.names), **facts},
    )  # fmt: skip


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
    shape = [1, *images.shape[1:]]
    inputs, targets = ImageInputs("image", shape), Classes(class_names)
    made = {
        part: TensorSplit(Images(inputs.scale(images[rows]), targets.encode(target[rows])))
        for part, rows in zip(PARTS, splits, strict=True)
    }
    facts = {"in_features": int(np.prod(shape)), "image_shape": shape, "num_classes": len(class_names)}
    rows = ImageRows("image", images, target, splits)
    return Prepared(inputs, targets, **made, rows=rows, source=source, digest=digest, facts=facts)
