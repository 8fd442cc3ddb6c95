"""What the benchmarks of training speed share: a training through runner, and rounds in which two loops take turns."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from runner.build import build_task
from runner.datamodules.base import DataModule
from runner.tasks.base import Task
from runner.training.callbacks import ShowProgress
from runner.training.checkpoint import AtomicWriter
from runner.training.history import History
from runner.training.train import build_trainer


def trained(cfg: DictConfig, data: DataModule) -> tuple[Task, float]:
    """Train through runner; the objective, and rows a second without validation and checkpoints."""
    task, progress, writer = build_task(cfg), ShowProgress(), AtomicWriter()
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(cfg, Path(folder), task, History(), [progress], writer)
        task.fit(trainer, data)
        writer.wait()
    return task, progress.samples_per_second


def compare(name: str, ours: Callable[[], float], tight: Callable[[], float], rounds: int, unit: str) -> None:
    """Print medians of the speeds and of their ratios within a round; wanted: 0.9.

    Args:
        name: what is compared.
        ours: trains through runner and returns its speed.
        tight: the same by a loop written by hand.
        rounds: in each both take their turn; one more comes first and does not count.
        unit: of the speeds.
    """
    found = [(ours(), tight()) for _ in range(rounds + 1)][1:]
    medians = [statistics.median(speeds) for speeds in zip(*found, strict=True)]
    ratio = statistics.median(one / other for one, other in found)
    print(
        f"{name}: runner {medians[0]:.0f} {unit}, tight {medians[1]:.0f} {unit}; runner/tight {ratio:.2f}, "
        f"wanted 0.9: {'reached' if ratio >= 0.9 else 'missed'}",
        flush=True,
    )
