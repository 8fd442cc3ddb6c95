"""What Hydra finds of `runner`'s sweeps; it is imported at every start, so it only holds the way to the rest."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class RunnerSweeper(Sweeper):
    """Runs the jobs of `runner -m ...`, see `runner.sweep.sweeper`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        from runner.sweep.sweeper import sweep

        assert self.hydra_context is not None and self.config is not None, "Hydra calls setup first"
        return sweep(self.hydra_context, self.task_function, self.config, arguments)


class RunnerRayLauncher(Launcher):
    """Runs the jobs of a sweep on Ray, see `runner.sweep.ray_jobs`.

    Args:
        address: of a running cluster, "auto" or HOST:PORT; None = Ray on this machine alone.
        num_cpus: CPU cores that a job needs.
        num_gpus: GPUs that a job needs.
    """

    def __init__(self, address: str | None = None, num_cpus: float = 1, num_gpus: float = 0):
        self.address, self.resources = address, {"num_cpus": num_cpus, "num_gpus": num_gpus}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        from runner.sweep.ray_jobs import run_on_ray

        parts = self.hydra_context, self.task_function, self.config
        return run_on_ray(*parts, job_overrides, initial_job_idx, self.address, self.resources)
