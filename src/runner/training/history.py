"""The curves of a run: every metric with its step, passed on to MLflow as it comes."""

import math
import time
from typing import Any

from pytorch_lightning.loggers import Logger

from runner.figures.charts import epochs_at
from runner.tracking.record import Record


class History(Logger):
    """Lightning's logger of a run: keeps all points, for checkpoints and figures, and hands each one to the record.

    Args:
        record: the MLflow record of the run (`Record`); None = keep the points only.
    """

    def __init__(self, record: Record | None = None):
        super().__init__()
        self.record = record
        self.history: list[list] = []  # [step, unix time, {metric: value}]

    @property
    def name(self) -> str:
        return "runner"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run logs its whole configuration itself."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.history.append([step or 0, time.time(), dict(metrics)])
        if self.record is not None:
            self.record.metrics(metrics, step=step or 0)

    def replay(self, history: list[list]) -> None:
        """Take over the points of the run up to a checkpoint; the record skips those it already has."""
        self.history = [list(point) for point in history]
        if self.record is not None:
            for step, _, metrics in self.history:
                self.record.metrics(metrics, step=step)

    def curve(self, metric: str) -> tuple[list[int], list[float]]:
        """Steps and values of one metric."""
        points = [(step, values[metric]) for step, _, values in self.history if metric in values]
        return [step for step, _ in points], [value for _, value in points]

    def epochs(self, steps: list[int]) -> list[float]:
        """How many epochs there had been at each step."""
        return epochs_at(steps, *self.curve("epoch"))

    def latest(self, prefix: str, until: int | None = None) -> dict[str, float]:
        """The last value, of all or up to a step, of each metric whose name begins with `prefix`."""
        found: dict[str, float] = {}
        for values in (values for step, _, values in self.history if until is None or step <= until):
            found |= {name: value for name, value in values.items() if name.startswith(prefix)}
        return {name: value for name, value in found.items() if math.isfinite(value)}
