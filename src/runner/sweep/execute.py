"""Running one job of a sweep in this process, composed as Hydra's own launchers do, and launching batches of jobs."""

import gc
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from runner.errors import UserError
from runner.sweep.state import JobState, SweepState
from runner.training.interrupt import Pruned

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        status: its state at the end.
        error: what went wrong, in one line.
    """

    status: JobState
    error: str | None = None


def run_one_job(
    context: HydraContext, task_function: TaskFunction, config: DictConfig, number: int, overrides: list[str]
) -> Outcome:
    """Compose the job with these overrides and run it in this process; an interrupt ends the process."""
    setup_globals()
    try:
        job = context.config_loader.load_sweep_config(config, overrides)
        with open_dict(job):
            job.hydra.job.id = job.hydra.job.num = number
        done = run_job(task_function, job, "hydra.sweep.dir", "hydra.sweep.subdir", context)
    except Exception as error:  # a job that cannot even be composed must not stop the others
        return outcome(error)
    finally:
        configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    result = outcome(done._return_value if done.status == JobStatus.FAILED else None)
    del done
    release_memory()
    return result


def outcome(error: BaseException | None) -> Outcome:
    """Return the outcome of a job that raised this error, or none."""
    if error is None:
        return Outcome(JobState.FINISHED)
    if isinstance(error, Pruned):
        return Outcome(JobState.PRUNED, str(error))
    text = " ".join(str(error).split()) or type(error).__name__
    return Outcome(JobState.FAILED, text if isinstance(error, UserError) else f"{type(error).__name__}: {text}")


def release_memory() -> None:
    """Release the memory of the net and the optimizer of a job, on the GPU too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def job_overrides(state: SweepState, number: int) -> list[str]:
    """Return the overrides of a job, including those for its folder and its MLflow run."""
    job = state.jobs[number]
    folder = QuotedString(str(state.folder), Quote.single).with_quotes()
    return [*job.overrides, f"resume={job.run_id}", f"hydra.sweep.dir={folder}", f"hydra.sweep.subdir={number}"]


class Executor(Protocol):
    """Runs the jobs of a sweep."""

    slots: int

    def start(self, number: int, overrides: list[str]) -> None:
        """Take a job; at most `slots` of them wait or run at the same time."""

    def wait(self) -> tuple[int, Outcome]:
        """Return the number of a job that has ended, and its outcome."""

    def stop(self) -> None:
        """End the jobs that still run."""


class Batches:
    """Runs jobs in batches: in this process, or through one of Hydra's launchers.

    Args:
        run: runs the jobs of a batch, (number, overrides) each, and returns how they ended.
        slots: jobs per batch.
    """

    def __init__(self, run: Callable[[list[tuple[int, list[str]]]], list[Outcome]], slots: int):
        self.run = run
        self.slots = slots
        self.waiting: list[tuple[int, list[str]]] = []
        self.done: list[tuple[int, Outcome]] = []

    def start(self, number: int, overrides: list[str]) -> None:
        self.waiting.append((number, overrides))

    def wait(self) -> tuple[int, Outcome]:
        """Run the batch, if it has not run yet, and return how one of its jobs ended."""
        if not self.done:
            batch, self.waiting = self.waiting, []
            self.done = list(zip([number for number, _ in batch], self.run(batch), strict=True))
        return self.done.pop(0)

    def stop(self) -> None:
        """Nothing runs between two batches; jobs that a cluster has accepted continue there."""


def launch(launcher: Launcher, batch: list[tuple[int, list[str]]]) -> list[Outcome]:
    """Hand a batch to one of Hydra's launchers (submitit, Ray, joblib) and return how its jobs ended."""
    try:
        returns = launcher.launch([overrides for _, overrides in batch], initial_job_idx=batch[0][0])
    except Exception as error:  # if a batch lost a job, only the folders show what the others did
        log.error("the launcher failed: %s", error)
        return [Outcome(JobState.LOST, outcome(error).error)] * len(batch)
    return [outcome(one._return_value if one.status == JobStatus.FAILED else None) for one in returns]
