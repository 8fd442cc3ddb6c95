"""Minimisation: the answer of the net is itself what is made as small as possible.

The net returns (B, 1); the target of the batch is not used. For problems of which only the lowest point is wanted, such
as a parabola.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from runner.errors import UserError
from runner.tasks.base import Task


class Minimise(Task):
    """The mean answer is the loss.

    Args:
        net: returns (B, 1).
        optimizer: builds the optimizer from the parameters.
        schedule: builds the learning-rate schedule from the optimizer.
        monitor: the validation metric that picks the best checkpoint; None = the last one is kept.
        mode: min or max of that metric.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable | None = None,
        schedule: Callable | None = None,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
    ):
        super().__init__(net, optimizer, schedule, monitor, mode)

    def step(self, batch: tuple) -> dict[str, Tensor]:
        value = self.net(*self.inputs(batch))  # (B, 1)
        if value.ndim != 2 or value.shape[1] != 1:
            raise UserError(
                f"minimise needs answers of shape (batch, 1); {type(self.net).__name__} returned {tuple(value.shape)}"
            )
        return {"loss": value.mean()}
