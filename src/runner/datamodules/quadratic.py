"""Quadratic: a parabola a*w^2 + b*w + c whose lowest point is found by gradient descent.

Source: the course book, chapter 2: a*w^2 + b*w + c with (a, b, c) = (1, -10, 25) or (1, -20, 100), from w = 0.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import Splits
from runner.datamodules.parts.tensors import prepare_numbers
from runner.errors import UserError


@dataclass(kw_only=True, eq=False, repr=False)
class Quadratic(DataModule):
    """The coefficients as the only example, used in every step; a net answers with the value of the parabola.

    Args:
        coefficients: a, b and c; a above 0, so that there is a lowest point.
        start: where the search begins.
        steps: steps of an epoch, at least 1.
        in_features: declared number of coefficients, 3.
    """

    coefficients: Sequence[float] = (1.0, -10.0, 25.0)
    start: float = 0.0
    steps: int = 100
    in_features: int = 3
    batch_size: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.coefficients) != 3 or self.coefficients[0] <= 0:
            raise UserError(
                f"data.coefficients={list(self.coefficients)}: three numbers a, b, c are needed, with a above 0, "
                f"for example data.coefficients=[1,-10,25]."
            )
        self.coefficients = [float(value) for value in self.coefficients]

    def prepare(self) -> Prepared:
        values = np.array([self.coefficients])  # (1, 3)
        splits = Splits(np.zeros(self.steps, dtype=np.int64), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
        return prepare_numbers(
            ["a", "b", "c"],
            values,
            np.zeros((1, 1)),
            splits,
            source=f"made here: {self.coefficients[0]:g}*w^2 + {self.coefficients[1]:g}*w + {self.coefficients[2]:g}",
            digest=hashlib.sha256(values.tobytes()).hexdigest(),
            target_names=["unused"],
            standardize=False,
            standardize_targets=False,
        )

    def train_dataloader(self) -> Loader:
        return self._loader(self.train, 1, shuffle=True)  # all rows are the same
