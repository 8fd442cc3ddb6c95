"""Noisy sine: points of a sine curve with normal noise; the net has to find the curve behind them.

Source: the course book, chapter 3, section 3.4: x = 0, 0.1 ... 6.3, y = sin(x) + N(0, 0.1).
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import Splits
from runner.datamodules.parts.tensors import prepare_numbers
from runner.figures import tables


@dataclass(kw_only=True, eq=False, repr=False)
class NoisySine(DataModule):
    """64 noisy points to train on, the same places with other noise for validation, and the true sine as the test
    split: test/mse is the distance to the truth.

    Args:
        in_features: declared number of inputs, 1.
        num_targets: declared number of targets, 1.
        noise: standard deviation of the noise, at least 0.
        noise_seed: of the noise, at least 0; independent of the run's seed.
        standardize: whether x is standardised; the book does not standardise it.
        batch_size: points of a training batch, at least 1.
    """

    in_features: int = 1
    num_targets: int = 1
    noise: float = 0.1
    noise_seed: int = 0
    standardize: bool = False
    batch_size: int = 10

    def prepare(self) -> Prepared:
        x = np.arange(64)[:, None] / 10  # (64, 1)
        draw = np.random.default_rng(self.noise_seed)
        noise = [draw.normal(0, self.noise, x.shape), draw.normal(0, self.noise, x.shape), np.zeros_like(x)]
        values, target = np.concatenate([x, x, x]), np.concatenate([np.sin(x) + added for added in noise])
        return prepare_numbers(
            ["x"],
            values,
            target,
            Splits(np.arange(64), np.arange(64, 128), np.arange(128, 192)),
            source=f"made here: sin(x) + N(0, {self.noise:g}), x = 0 .. 6.3, noise seed {self.noise_seed}",
            digest=hashlib.sha256(values.tobytes() + target.tobytes()).hexdigest(),
            target_names=["y"],
            standardize=self.standardize,
            standardize_targets=False,
        )

    def figures(self, task: Any) -> dict[str, Any]:
        """The true curve, the noisy points, and the curve that the task has fitted."""
        rows = self.raw("test", 64)
        answers = task.answer(rows, self)
        fitted = np.array([row["y"] for row in answers])
        x, truth = (np.ravel(values) for values in (([row["x"] for row in rows]), self.examples("test")[1]))
        return {"fitted_curve": tables.fitted_curve(x, truth, self.examples("train")[1], fitted)}
