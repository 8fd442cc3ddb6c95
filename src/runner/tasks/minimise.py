"""Minimisation: the answer of the net is itself what is minimised.

The net returns (B, 1); the target of the batch is not used. For problems where only the lowest point is of interest,
such as a parabola.
"""

from typing import Any

from torch import nn

from runner.errors import UserError
from runner.tasks.base import Task
from runner.tasks.means import Scalars


class Minimise(Task):
    """The mean answer is the loss.

    Args:
        net: returns (B, 1).
    """

    def __init__(
        self,
        net: nn.Module,
    ):
        super().__init__(net)

    def step(self, batch: Any) -> Scalars:
        value = self.net(*self.inputs(batch))  # (B, 1)
        if value.ndim != 2 or value.shape[1] != 1:
            raise UserError(
                f"minimise needs answers of shape (batch, 1); {type(self.net).__name__} returned {tuple(value.shape)}"
            )
        return {"loss": value.mean()}
