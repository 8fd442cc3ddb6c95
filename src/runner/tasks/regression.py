"""Regression: real-valued targets.

The net returns (B, D) on the scale of the standardised targets; metrics are in the data's own units.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import CatMetric, MeanAbsoluteError, MeanSquaredError

from runner.config.functions import DottedPath
from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.figures import tables
from runner.tasks import examples
from runner.tasks.answered_rows import AnsweredRows, write_tested
from runner.tasks.answers import value_names
from runner.tasks.base import Task
from runner.tasks.losses import ValueLoss, mean_loss, value_loss
from runner.tasks.means import Scalars
from runner.tasks.own_metrics import add_metrics


def explained(actual: Tensor, predicted: Tensor) -> float:
    """R2: the share of the variance of values (N, D) that is explained, mean over D; NaN for a single row.

    In float64: in float32 the variance of values far from zero, such as years, is lost in the sums of squares.
    """
    errors = (actual - predicted).square().sum(dim=0)  # (D,)
    variation = (actual - actual.mean(dim=0)).square().sum(dim=0)  # (D,)
    return float((1 - errors / variation).mean()) if len(actual) > 1 else math.nan


class Regression(Task):
    """Squared, absolute, Huber or other error; MSE, RMSE, MAE and R2 on validation and test.

    Args:
        net: returns (B, D).
        num_outputs: number of targets D.
        loss: of the standardised targets: mse, mae, huber, the dotted path of a function, or a node with `_target_`.
        metrics: further ones, {name: node with `_target_`}; they are given values (B, D) in the data's own units.
    """

    target_mean: Tensor  # (D,)
    target_std: Tensor  # (D,)

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        loss: ValueLoss | DottedPath = "mse",
        metrics: Mapping[str, Any] | None = None,
    ):
        super().__init__(net)
        self.num_targets = num_outputs
        self.loss = value_loss(loss, num_outputs)
        self.register_buffer("target_mean", torch.zeros(num_outputs))
        self.register_buffer("target_std", torch.ones(num_outputs))
        self.metrics.add_metrics(
            {
                "mse": MeanSquaredError(),
                "rmse": MeanSquaredError(squared=False),
                "mae": MeanAbsoluteError(),
            }
        )
        drawn = torch.arange(4 * num_outputs).view(4, num_outputs).float()  # (4, D)
        add_metrics(self.metrics, metrics, {"num_outputs": num_outputs}, drawn.square(), drawn)
        self.predicted, self.actual = CatMetric(), CatMetric()
        self.tested = AnsweredRows()
        self.unit = ""  # of the targets

    def connect(self, data: DataModule) -> None:
        self.target_mean.copy_(data.target_mean)
        self.target_std.copy_(data.target_std)
        self.unit = data.unit

    def unscale(self, values: Tensor) -> Tensor:
        """Convert standardised values (B, D) back to the data's own units."""
        return values * self.target_std + self.target_mean

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Any:
        return examples.with_values(facts, read, rows, draw)

    def step(self, batch: Any) -> Scalars:
        return self.with_own_losses(batch, self.scalars)

    def evaluation_step(self, batch: Any) -> Scalars:
        output, target = self.net(*self.inputs(batch)), batch[-1]  # (B, D), (B, D)
        scores = self.scalars(output, target)
        predicted, actual = self.unscale(output.float()), self.unscale(target)
        self.metrics.update(predicted, actual)
        self.predicted.update(predicted)
        self.actual.update(actual)
        self.tested.add((predicted - actual).abs().amax(dim=1), predicted)
        return scores

    def scalars(self, output: Tensor, target: Tensor) -> Scalars:
        """Loss of outputs (B, D) against standardised targets (B, D)."""
        if output.shape != target.shape:
            raise UserError(
                f"regression needs outputs of shape (batch, {self.num_targets}); "
                f"{type(self.net).__name__} returned {tuple(output.shape)}"
            )
        return {"loss": mean_loss(self.loss, output, target)}

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.predicted.reset()
        self.actual.reset()
        self.tested.reset()

    def evaluation_metrics(self) -> dict[str, float]:
        actual, predicted = (
            values.compute().cpu().double().view(-1, self.num_targets) for values in (self.actual, self.predicted)
        )  # (N, D), (N, D)
        self.tested.close()
        return super().evaluation_metrics() | {"r2": explained(actual, predicted)}

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: the value of each target in the data's own units."""
        values = self.unscale(self.net(*self.encoded(rows, data)).float())  # (B, D)
        return [dict(zip(self.answer_columns(data), row, strict=True)) for row in values.tolist()]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return dict.fromkeys(value_names(data), "double")

    def write_files(self, folder: Path, data: DataModule) -> None:
        write_tested(self.tested.found, folder, data)

    def figures(self) -> dict[str, Figure]:
        return {
            "predicted_against_actual": tables.predicted_against_actual(
                self.actual.compute().cpu().numpy(), self.predicted.compute().cpu().numpy(), self.unit
            )
        }
