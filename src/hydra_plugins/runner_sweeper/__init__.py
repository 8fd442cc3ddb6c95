"""What Hydra finds of `runner`'s sweeps; it is imported at every start, so it only holds the way to the rest."""

from typing import Any

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
