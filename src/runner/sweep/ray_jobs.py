"""The jobs of a batch as tasks of Ray: on this machine, or on a cluster that runs already.

Every task composes its job and runs it as Hydra's other launchers do. The working folder has to be one that all
machines see; what a job prints is shown here, behind the name and the address of its process.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from runner.training.interrupt import Interrupted

CHECK_SECONDS = 0.5  # between two looks whether a signal has come

log = logging.getLogger(__name__)


def run_on_ray(
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    jobs: Sequence[Sequence[str]],
    first: int,
    address: str | None,
    resources: dict[str, float],
) -> list[JobReturn]:
    """Run jobs, each given by its overrides, and return how they ended, in the same order.

    Args:
        context: Hydra's config loader and callbacks.
        task_function: what a job runs.
        config: the composed configuration without what varies.
        jobs: the overrides of each.
        first: the number of the first job.
        address: of the cluster; "auto" = the one this machine belongs to; None = one of this machine alone, which ends
            with the sweep.
        resources: what each job needs, as Ray's tasks say it, such as num_cpus and num_gpus.
    """
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    paths = os.pathsep.join(path for path in sys.path if path)
    ray.init(address=address or "local", runtime_env={"env_vars": {"PYTHONPATH": paths}}, log_to_driver=True)
    try:
        task = ray.remote(run_here).options(max_retries=0, **resources)
        shared = ray.put((context, task_function, config, Singleton.get_state()))
        waiting = [task.remote(os.getcwd(), first + place, list(one), shared) for place, one in enumerate(jobs)]
        log.info("%d jobs are with Ray, %s", len(waiting), ", ".join(f"{k}={v}" for k, v in resources.items()))
        with noticed() as signals:
            while ray.wait(waiting, num_returns=len(waiting), timeout=CHECK_SECONDS)[1]:
                if signals:
                    raise Interrupted(signals[0])
        return [ended(one) for one in waiting]
    finally:
        ray.shutdown()


@contextmanager
def noticed() -> Iterator[list[int]]:
    """Collect signals for a while: Ray drops an exception that a handler raises while it waits."""
    found: list[int] = []
    before = {
        number: signal.signal(number, lambda received, frame: found.append(received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_here(
    folder: str, number: int, overrides: list[str], shared: tuple[HydraContext, TaskFunction, DictConfig, Any]
) -> JobReturn:
    """Compose one job and run it in this process, in the working folder of the sweep."""
    context, task_function, config, state = shared
    os.chdir(folder)
    setup_globals()
    Singleton.set_state(state)
    job = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = job.hydra.job.num = number
    return run_job(task_function, job, "hydra.sweep.dir", "hydra.sweep.subdir", context)


def ended(task: Any) -> JobReturn:
    """How a task ended; one whose process was lost has failed."""
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        lost = JobReturn(status=JobStatus.FAILED)
        lost.return_value = RuntimeError(" ".join(str(error).split()))
        return lost
