"""What the log says about an epoch, in a line of 80 columns."""

from collections.abc import Mapping
from typing import Any

WIDTH = 66  # characters of a line, which begins with 14 of the time and the level


def epoch_line(epoch: str, metrics: Mapping[str, Any], monitor: str | None, note: str) -> str:
    """Return the training and validation metrics of an epoch: what is monitored, the loss, others while there is room.

    Args:
        epoch: its beginning.
        metrics: `train/loss`, `val/loss` ...
        monitor: the one that picks the best checkpoint.
        note: its end.
    """
    first = [monitor.split("/", 1)[1] if monitor else "loss", "loss"]
    names = [*first, *sorted(name.split("/", 1)[1] for name in metrics if name.startswith("train/"))]
    line = f"{epoch}:"
    for name in dict.fromkeys(names):
        train, val = (three_digits(metrics.get(f"{split}/{name}")) for split in ("train", "val"))
        part = f" {name} {train}" + f" val {val}" * bool(val) if train else f" val {name} {val}"
        if (train or val) and (line.endswith(":") or len(f"{line},{part}{note}") <= WIDTH):
            line += part if line.endswith(":") else f",{part}"
    return line + note


def three_digits(value: Any) -> str:
    """Return a metric with three digits after the point, or three in all; "" without one."""
    if value is None:
        return ""
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.3g}"
