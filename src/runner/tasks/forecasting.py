"""Forecasting: the next values of a series from a window of the last ones.

The net returns (B, D), D days ahead, on the scale of the targets; metrics are in the data's own units. Next to each
is the error of the naive forecast "tomorrow is like today", which a useful model has to beat.
"""

from datetime import date
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

from runner.config.functions import DottedPath
from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import SequenceInputs
from runner.figures import tables
from runner.tasks.losses import ValueLoss
from runner.tasks.means import Scalars
from runner.tasks.regression import Regression


class Forecasting(Regression):
    """Regression on the values that follow a window, compared with repeating the last value of the window.

    Args:
        net: returns (B, D).
        num_outputs: D, values ahead.
        loss: of the scaled targets: mse, mae, huber, the dotted path of a function, or a node with `_target_`.
    """

    channel_mean: Tensor  # ()
    channel_std: Tensor  # ()

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        loss: ValueLoss | DottedPath = "mse",
    ):
        super().__init__(net, num_outputs, loss)
        self.channel = 0  # of the windows: the series that is forecast
        self.dates: list[date] | None = None  # of the test split
        self.register_buffer("channel_mean", torch.zeros(()))
        self.register_buffer("channel_std", torch.ones(()))
        self.naive = MetricCollection(
            {"naive_rmse": MeanSquaredError(squared=False), "naive_mae": MeanAbsoluteError()}, compute_groups=False
        )

    def connect(self, data: DataModule) -> None:
        super().connect(data)
        assert isinstance(data.inputs, SequenceInputs), "forecasting reads windows of signals"
        self.channel, self.dates = getattr(data, "target_channel", 0), getattr(data, "test_dates", None)
        self.channel_mean.fill_(float(data.inputs.mean[self.channel]))
        self.channel_std.fill_(float(data.inputs.std[self.channel]))

    def last_values(self, windows: Tensor) -> Tensor:
        """The last value of each window (B, T, C), in the data's own units, repeated for each value ahead, (B, D)."""
        last = windows[:, -1, self.channel] * self.channel_std + self.channel_mean  # (B,)
        return last.unsqueeze(1).repeat(1, self.num_targets)

    def evaluation_step(self, batch: Any) -> Scalars:
        self.naive.update(self.last_values(batch[0]), self.unscale(batch[-1]))
        return super().evaluation_step(batch)

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.naive.reset()

    def evaluation_metrics(self) -> dict[str, float]:
        naive = {name: float(value) for name, value in self.naive.compute().items()}
        return super().evaluation_metrics() | naive

    def figures(self) -> dict[str, Figure]:
        actual, predicted = (
            values.compute().cpu().view(-1, self.num_targets).numpy() for values in (self.actual, self.predicted)
        )  # (N, D), (N, D)
        return super().figures() | {"forecast": tables.forecast(actual, predicted, self.dates, self.unit)}
