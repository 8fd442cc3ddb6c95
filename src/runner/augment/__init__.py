"""Changing training batches at random, so that the net never sees the same example twice."""

from typing import Any, NamedTuple

import torch
from torch import nn

from runner.errors import UserError


class Augmentation(nn.Module):
    """Several steps one after another; each takes an input of the batch and returns one of the same shape.

    Random numbers come from torch's own generator, whose state is part of a checkpoint, so a resumed run draws what the
    uninterrupted one would have drawn.

    Args:
        steps: modules by name; one with `connect(data)` gets the data before training.
    """

    def __init__(self, steps: dict[str, nn.Module]):
        super().__init__()
        self.steps = nn.ModuleDict(steps)

    def connect(self, data: Any) -> None:
        for step in self.steps.children():
            if connect := getattr(step, "connect", None):
                connect(data)

    def forward(self, batch: NamedTuple) -> NamedTuple:
        """Change all inputs of a batch; the last field is the target."""
        *inputs, target = batch
        if target.ndim > 1 and target.dtype == torch.int64:  # a target for each word would no longer match
            raise UserError("augment: this data has a target for each word, so its inputs must not be changed")
        for step in self.steps.children():
            inputs = [step(each) for each in inputs]
        return batch._make([*inputs, target])


def share_of(share: float, name: str) -> float:
    """Return `share`, checked to be in 0 .. 1."""
    if not 0 <= share <= 1:
        raise UserError(f"{name} must be in 0 .. 1, received {share}")
    return share
