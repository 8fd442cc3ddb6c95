"""Exclusive or: four points that no straight line separates (Minsky and Papert, "Perceptrons", 1969)."""

import hashlib
from dataclasses import dataclass

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import Splits
from runner.datamodules.parts.tensors import prepare_numbers

POINTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)
TARGET = np.array([0, 1, 1, 0])


@dataclass(kw_only=True, eq=False, repr=False)
class Xor(DataModule):
    """The four points, 0 or 1. Training, validation and test are the same four points.

    Args:
        in_features: declared number of inputs, 2.
        num_classes: declared number of classes, 2.
        batch_size: points of a training batch, at least 1.
    """

    in_features: int = 2
    num_classes: int = 2
    batch_size: int = 4

    def prepare(self) -> Prepared:
        everything = np.arange(4)
        return prepare_numbers(
            ["a", "b"],
            POINTS,
            TARGET,
            Splits(everything, everything, everything),
            source="made here: the truth table of exclusive or",
            digest=hashlib.sha256(POINTS.tobytes() + TARGET.tobytes()).hexdigest(),
            class_names=["false", "true"],
            standardize=False,
        )
