"""Learning-rate schedules: each takes the optimizer and the length of the run and returns a scheduler of torch.

All but `plateau` advance once an optimizer step; `plateau` looks at the monitored validation metric once an epoch.
"""

import math
from collections.abc import Callable
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR


def constant(optimizer: Optimizer, total_steps: int, steps_per_epoch: int) -> None:
    """The learning rate does not change."""
    return None


def step(
    optimizer: Optimizer, total_steps: int, steps_per_epoch: int, every: int = 10, factor: float = 0.1
) -> LRScheduler:
    """Multiply the learning rate by `factor` every `every` epochs.

    Args:
        every: epochs, at least 1.
        factor: in (0, 1].
    """
    return StepLR(optimizer, step_size=every * steps_per_epoch, gamma=factor)


def cosine(
    optimizer: Optimizer, total_steps: int, steps_per_epoch: int, warmup: float = 0.0, final: float = 0.0
) -> LRScheduler:
    """Climb for a share `warmup` of all steps, then follow half a cosine down to the share `final` of the rate.

    Args:
        warmup: share of all steps, in [0, 1).
        final: share of the learning rate, at least 0.
    """
    return _warmed_up(
        optimizer, total_steps, warmup, lambda done: final + (1 - final) * (1 + math.cos(math.pi * done)) / 2
    )


def linear(
    optimizer: Optimizer, total_steps: int, steps_per_epoch: int, warmup: float = 0.0, final: float = 0.0
) -> LRScheduler:
    """Climb for a share `warmup` of all steps, then decrease linearly to the share `final` of the rate.

    Args:
        warmup: share of all steps, in [0, 1).
        final: share of the learning rate, at least 0.
    """
    return _warmed_up(optimizer, total_steps, warmup, lambda done: 1 - (1 - final) * done)


def inverse_sqrt(optimizer: Optimizer, total_steps: int, steps_per_epoch: int, warmup: float = 0.1) -> LRScheduler:
    """Climb for a share `warmup` of all steps, then fall with the inverse root of the step (Vaswani et al. 2017).

    Args:
        warmup: share of all steps, in [0, 1).
    """
    climb = max(1, round(warmup * total_steps))
    return LambdaLR(optimizer, lambda step: min((step + 1) / climb, (climb / (step + 1)) ** 0.5))


def warmup(
    optimizer: Optimizer,
    total_steps: int,
    steps_per_epoch: int,
    share: float = 0.1,
    then: Literal["constant", "cosine", "linear", "inverse_sqrt"] = "cosine",
) -> LRScheduler:
    """Climb for a `share` of all steps, then follow another schedule.

    Args:
        share: of all steps, in [0, 1).
        then: the schedule that follows.
    """
    if then == "constant":
        return _warmed_up(optimizer, total_steps, share, lambda done: 1.0)
    following = {"cosine": cosine, "linear": linear, "inverse_sqrt": inverse_sqrt}
    if then not in following:
        raise ValueError(f"schedule.then is one of constant, {', '.join(following)}, received {then!r}")
    return following[then](optimizer, total_steps, steps_per_epoch, warmup=share)


def one_cycle(optimizer: Optimizer, total_steps: int, steps_per_epoch: int, climb: float = 0.3) -> LRScheduler:
    """Climb to the learning rate for a share `climb` of all steps and descend again (Smith and Topin 2018).

    Momentum, if there is any, changes the opposite way, between 0.85 and 0.95 (arXiv:1708.07120, section 3).

    Args:
        climb: share of all steps, in (0, 1).
    """
    has_momentum = bool(optimizer.defaults.get("momentum")) or "betas" in optimizer.defaults
    rates = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, max_lr=rates, total_steps=total_steps, pct_start=climb, cycle_momentum=has_momentum)


def plateau(
    optimizer: Optimizer,
    total_steps: int,
    steps_per_epoch: int,
    mode: Literal["min", "max"] = "min",
    factor: float = 0.1,
    patience: int = 5,
) -> ReduceLROnPlateau:
    """Multiply the learning rate by `factor` after `patience` epochs without a better validation metric.

    Args:
        mode: whether smaller ("min") or larger ("max") values are better.
        factor: in (0, 1).
        patience: epochs, at least 0.
    """
    return ReduceLROnPlateau(optimizer, mode=mode, factor=factor, patience=patience)


def _warmed_up(optimizer: Optimizer, total_steps: int, warmup: float, decay: Callable[[float], float]) -> LRScheduler:
    """Scale the rate by step/warm-up first, then by `decay(share of the remaining steps that is done)`."""
    climb = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < climb:
            return (step + 1) / climb
        return decay(min(1.0, (step - climb) / max(1, total_steps - climb)))

    return LambdaLR(optimizer, factor)
