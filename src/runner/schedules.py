"""Learning-rate schedules: each takes the optimizer and the length of the run and returns a scheduler of torch.

All but `plateau` advance once an optimizer step; `plateau` looks at the monitored validation metric once an epoch.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR


def constant(optimizer: Optimizer, total_steps: int, steps_per_epoch: int) -> None:
    """The learning rate stays as it is."""
    return None


def step(
    optimizer: Optimizer, total_steps: int, steps_per_epoch: int, every: int = 10, factor: float = 0.1
) -> LRScheduler:
    """Multiply the learning rate by `factor` every `every` epochs."""
    return StepLR(optimizer, step_size=every * steps_per_epoch, gamma=factor)


def cosine(
    optimizer: Optimizer, total_steps: int, steps_per_epoch: int, warmup: float = 0.0, final: float = 0.0
) -> LRScheduler:
    """Climb for a share `warmup` of all steps, then follow half a cosine down to the share `final` of the rate."""
    return _warmed_up(
        optimizer, total_steps, warmup, lambda done: final + (1 - final) * (1 + math.cos(math.pi * done)) / 2
    )


def linear(
    optimizer: Optimizer, total_steps: int, steps_per_epoch: int, warmup: float = 0.0, final: float = 0.0
) -> LRScheduler:
    """Climb for a share `warmup` of all steps, then go straight down to the share `final` of the rate."""
    return _warmed_up(optimizer, total_steps, warmup, lambda done: 1 - (1 - final) * done)


def one_cycle(optimizer: Optimizer, total_steps: int, steps_per_epoch: int) -> LRScheduler:
    """Climb to the learning rate and come down again in one cycle (Smith and Topin 2018, arXiv:1708.07120)."""
    return OneCycleLR(optimizer, max_lr=[group["lr"] for group in optimizer.param_groups], total_steps=total_steps)


def plateau(
    optimizer: Optimizer,
    total_steps: int,
    steps_per_epoch: int,
    mode: str = "min",
    factor: float = 0.1,
    patience: int = 5,
) -> ReduceLROnPlateau:
    """Multiply the learning rate by `factor` after `patience` epochs without a better validation metric."""
    return ReduceLROnPlateau(optimizer, mode=mode, factor=factor, patience=patience)


def _warmed_up(optimizer: Optimizer, total_steps: int, warmup: float, decay) -> LRScheduler:
    """Scale the rate by step/warm-up first, then by `decay(share of the remaining steps that is done)`."""
    if not 0 <= warmup < 1:
        raise ValueError(f"schedule.warmup is a share of all steps, 0 <= warmup < 1, received {warmup}")
    climb = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < climb:
            return (step + 1) / climb
        return decay(min(1.0, (step - climb) / max(1, total_steps - climb)))

    return LambdaLR(optimizer, factor)
