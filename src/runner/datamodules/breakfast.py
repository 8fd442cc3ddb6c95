"""Breakfast: five meals of three dishes and what each cost; the task is to find the prices of the dishes.

Source: the course book, chapter 2, section 3. The prices behind the bills are 150, 50 and 100.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import Splits
from runner.datamodules.parts.tensors import prepare_numbers

DISHES = ["side_dishes", "buns", "drinks"]
MEALS = np.array([[2, 5, 3], [1, 4, 7], [2, 3, 5], [3, 6, 9], [7, 4, 1]], dtype=np.float64)  # portions
BILLS = np.array([[850], [1050], [950], [1650], [1350]], dtype=np.float64)


class _InOrder(Loader):
    """Yields the rows in their original order, in every epoch."""

    def order(self) -> Tensor:
        return torch.arange(len(self.split))


@dataclass(kw_only=True, eq=False, repr=False)
class Breakfast(DataModule):
    """The five meals. Training, validation and test are the same five meals.

    Args:
        in_features: declared number of dishes, 3.
        num_targets: declared number of targets, 1.
        batch_size: meals of a step, at least 1; 5 = batch gradient descent, 1 = online, meal after meal in order.
    """

    in_features: int = 3
    num_targets: int = 1
    batch_size: int = 5

    def prepare(self) -> Prepared:
        everything = np.arange(len(MEALS))
        return prepare_numbers(
            DISHES,
            MEALS,
            BILLS,
            Splits(everything, everything, everything),
            source="made here: five breakfast bills of the course book",
            digest=hashlib.sha256(MEALS.tobytes() + BILLS.tobytes()).hexdigest(),
            target_names=["bill"],
            standardize=False,
            standardize_targets=False,
        )

    def train_dataloader(self) -> Loader:
        return _InOrder(self.train, self.batch_size, shuffle=True, seed=self.seed)
