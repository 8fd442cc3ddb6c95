"""Running a sweep: which jobs there are, what runs them, how they ended, and what they show together.

A sweep is one parent run in MLflow with a child for each job. What is needed to resume it after a kill is
in `sweep.json` (state.py); whether a job has finished is read from its `metrics.json` and the status of its run.
"""

import copy
import json
import logging
import math
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from runner.config.hydra_internals import BASIC_LAUNCHER
from runner.config.nodes import as_dict, recordable
from runner.errors import UserError, print_mistake
from runner.files.progress import doing
from runner.sweep.execute import Batches, Executor, Outcome, job_overrides, launch, run_one_job
from runner.sweep.nested import nested_space
from runner.sweep.objectives import read_objectives
from runner.sweep.report import conclude
from runner.sweep.space import read_space
from runner.sweep.state import FILE, Job, JobState, SweepState, read_metrics
from runner.sweep.table import short
from runner.sweep.workers import Workers, slots
from runner.tracking.environment import is_alive
from runner.tracking.find import RunInfo, runs_with_tag
from runner.tracking.record import Record, Status
from runner.tracking.tracker import keep_tracker
from runner.tracking.uri import file_address
from runner.training.interrupt import Interrupt, Interrupted
from runner.training.job import only_process
from runner.training.processes import rank
from runner.training.pruning import TRIAL_FILE
from runner.training.resume import key_of

if TYPE_CHECKING:  # Optuna is an extra, and is imported for method=optuna alone
    from runner.sweep.study import Search

PATIENCE = 60.0  # seconds that processes of a killed sweep have to store what they still hold

log = logging.getLogger(__name__)


def sweep(context: HydraContext, task_function: TaskFunction, config: DictConfig, arguments: list[str]) -> list[int]:
    """Run the jobs of a command, or the remaining ones; return the numbers of the best.

    Exits with 1 if a job has failed, 2 after a mistake of the user, 130 or 143 after a signal.
    """
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    HydraConfig.instance().set_config(config)
    try:
        interrupt = Interrupt()
        interrupt.install()
        state = Sweep(context, task_function, config, arguments).run()
    except UserError as error:
        print_mistake(error)
        sys.exit(2)
    except Interrupted as stopped:
        sys.exit(stopped.exit_code)
    if state.status != "FINISHED":
        sys.exit(1)
    return state.best


class Sweep:
    """One sweep, new or resumed.

    Args:
        context: Hydra's config loader and callbacks.
        task_function: what a job runs.
        config: the composed configuration without what varies.
        arguments: what was typed, Hydra's own overrides left out.
    """

    def __init__(self, context: HydraContext, task_function: TaskFunction, config: DictConfig, arguments: list[str]):
        if rank() > 0:
            raise UserError("a sweep is started once: leave torchrun out, and give each job trainer.devices=N")
        self.context, self.task_function, self.config = context, task_function, config
        self.settings = as_dict(config.sweep, resolve=True)
        # what is recorded: values that come from the environment stay as they were typed
        self.written = as_dict(recordable(copy.deepcopy(config.sweep)))
        self.experiment: str = as_dict(recordable(copy.deepcopy(config.tracking), "experiment"))["experiment"]
        self.method: str = self.settings["method"]
        self.check_settings()
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.outputs = Path.cwd() / "outputs"
        parser = OverridesParser.create(config_loader=context.config_loader)
        self.space = read_space(arguments, nested_space(self.settings, arguments), parser)
        self.state = self.open_state(arguments)
        self.search: Search | None = None  # for method=optuna
        self.storage = self.written.get("storage") or file_address(self.folder / "optuna.db")
        self.stopped = False  # by on_error=stop
        self.reserved: dict[int, RunInfo | Record] = {}  # runs in MLflow for jobs to come

    def check_settings(self) -> None:
        """Raise errors that would otherwise appear late."""
        for key, allowed in (("method", ("grid", "random", "optuna")), ("on_error", ("continue", "stop"))):
            if self.settings[key] not in allowed:
                raise UserError(f"sweep.{key}={self.settings[key]}: allowed are {', '.join(allowed)}")
        if "hydra.sweep.subdir" in map(key_of, self.config.hydra.overrides.hydra):
            raise UserError("hydra.sweep.subdir: the folder of a job is its number; hydra/sweeper=basic uses this key")

    # What has to be done.

    def open_state(self, arguments: list[str]) -> SweepState:
        """Return the state of this sweep: that of its folder if it is resumed, or else a new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / FILE).exists():
            if self.settings["resume"]:
                return SweepState.load(self.folder)
            raise UserError(
                f"there is a sweep in {self.folder} already: resume it with "
                f"runner -m resume_sweep={self.folder.name}, or choose another sweep.name"
            )
        typed = map(str, as_dict(self.config.hydra.overrides)["hydra"])
        own = [one for one in typed if key_of(one) not in ("hydra.mode", "hydra.sweep.dir")]
        given = [source for source in self.config.hydra.runtime.config_sources if source.provider == "command-line"]
        return SweepState(
            folder=self.folder,
            overrides=[*own, *(one for one in arguments if key_of(one) != "sweep.resume")],
            config_dir=given[0].path if given else None,
            keys=[key.lstrip("+") for key in self.space.keys],
        )

    def plan(self) -> None:
        """Put all jobs that are known in advance into the state, and set their total number."""
        state = self.state
        if self.method == "grid":
            planned = self.space.grid()
        elif not self.space.dimensions:
            raise UserError(
                f"sweep={self.method}: there is nothing to vary. Type it, optim.lr=interval(0.001,0.1), "
                "or choose a file with a space, such as sweep=textcnn"
            )
        elif self.method == "random":
            planned = [self.space.draw(self.settings["seed"], number) for number in range(self.settings["trials"])]
        else:
            planned = []  # Optuna chooses one after another
        for number, overrides in enumerate(planned):
            state.jobs.setdefault(number, Job(overrides))
        state.total = max(len(state.jobs), self.settings["trials"] if self.method == "optuna" else 0)
        state.metrics, state.directions = read_objectives(self.settings, *self.monitored())

    def monitored(self) -> tuple[str | None, str]:
        """Return the monitored metric and its mode of the first job whose task has one."""
        seen = set()
        for overrides in [job.overrides for job in self.state.jobs.values()] or [self.space.first()]:
            choices = tuple(one for one in overrides if key_of(one) in ("model", "data", "task", "experiment"))
            if choices in seen:
                continue
            seen.add(choices)
            task = self.context.config_loader.load_sweep_config(self.config, [*overrides]).task
            if task.get("monitor"):
                return task.monitor, task.get("mode", "min")
        return None, "min"

    # The run.

    def run(self) -> SweepState:
        """Run all jobs that are left; return the state at the end."""
        with only_process(self.folder):
            self.plan()
            self.wait_for_old_processes()
            with keep_tracker(self.config.tracking.uri, self.outputs) as self.tracker:
                self.parent = self.open_parent()
                self.run_recorded()
        return self.state

    def wait_for_old_processes(self) -> None:
        """Wait until processes that survived a kill have stored everything: only then it is known which runs exist."""
        deadline = time.monotonic() + PATIENCE
        while alive := [name for name in self.state.processes if is_alive(name)]:
            if time.monotonic() > deadline:
                raise UserError(
                    f"processes of this sweep are still running: {', '.join(name.split(':')[1] for name in alive)}"
                )
            time.sleep(0.1)
        self.state.processes = []

    def run_recorded(self) -> None:
        """Run the jobs under the parent run, and record how it really ended."""
        try:
            self.take_stock()
            executor = self.executor()
            try:
                self.work_off(executor)
            finally:
                executor.stop()
            self.tracker.wait()
            self.verify()
        except (Interrupted, KeyboardInterrupt, SystemExit) as stopped:
            self.leave(stopped)
            raise
        except BaseException as error:
            self.close("FAILED", "".join(traceback.format_exception(error)))
            raise
        lost = len(self.state.jobs) - len(self.state.jobs_in(JobState.FINISHED, JobState.PRUNED))
        conclude(self.state, self.settings["columns"], self.parent)
        self.close("FAILED" if lost else "FINISHED", f"{lost} of {self.state.total} jobs failed" if lost else None)

    def open_parent(self) -> Record:
        """Open the parent run in MLflow; there is only one, however often the sweep was killed."""
        state = self.state
        self.register(self.tracker.writer)
        if state.parent is None and self.settings["resume"]:
            found = runs_with_tag(self.config.tracking.uri, self.outputs, "runner.sweep", state.id)
            state.parent = found[0].id if found else None
        command = {
            key_of(one): one.split("=", 1)[-1] for one in state.overrides if key_of(one).split(".")[0] != "sweep"
        }
        settings = {key: value for key, value in self.written.items() if key not in ("name", "resume")}
        parent = self.tracker.start(
            experiment=self.experiment,
            name=self.title(),
            params={"command": command, "sweep": settings},
            tags={"runner.sweep": state.id, "runner.sweep_folder": str(self.folder)},
            resume=state.parent,
            system_metrics=False,
        )
        doing("opening the record")
        if self.runs_here:  # while MLflow is being imported in its own process
            import_module("runner.training.train")
        state.parent = parent.id
        state.status = "RUNNING"
        state.save()
        return parent

    def title(self) -> str:
        """Return what the sweep is called in MLflow: the name that was typed, or what varies."""
        if any(key_of(one) == "sweep.name" for one in self.state.overrides):
            return self.state.name
        trials = f", {self.state.total} trials" * (self.method != "grid")
        return self.space.title(self.config.hydra.runtime.choices.model) + trials

    def register(self, process: str) -> None:
        """Remember a process that will write to MLflow, before it does so."""
        self.state.processes.append(process)
        self.state.save()

    def take_stock(self) -> None:
        """Find out how each job ended, from its run in MLflow and its folder."""
        state = self.state
        if self.method == "optuna":
            self.open_study()
        runs = {int(run.tags["runner.sweep_job"]): run for run in self.children() if "runner.sweep_job" in run.tags}
        self.reserved = {number: run for number, run in runs.items() if number not in state.jobs}
        for number, job in state.jobs.items():
            run = runs.get(number)
            job.run_id = run.id if run else None
            values = read_metrics(state.job_folder(number))
            if run and values and run.status == "FINISHED":
                self.keep(number, Outcome(JobState.FINISHED))
            elif run and run.tags.get("runner.pruned") == "true":
                self.keep(number, Outcome(JobState.PRUNED))
            elif job.status != JobState.FAILED or self.method != "optuna":  # what Optuna was told does not change
                job.status, job.values, job.error = JobState.WAITING, {}, None
        state.save()
        if ended := sum(not job.status.open for job in state.jobs.values()):
            log.info("resuming the sweep %s: %d of %d jobs are left", state.name, state.total - ended, state.total)

    def children(self) -> list[RunInfo]:
        """Return the runs of the jobs in MLflow."""
        return runs_with_tag(self.config.tracking.uri, self.outputs, "mlflow.parentRunId", self.parent.id)

    def open_study(self) -> None:
        """Open Optuna's study; only it knows the values that it suggested before a kill."""
        from runner.sweep.study import Search

        name = f"{self.state.name}-{self.state.id[:8]}"
        self.search = Search(self.space, self.storage, name, self.state.directions, self.settings)
        if self.settings["pruner"] != "none" and not self.prunes:
            log.warning(
                "no job is pruned: pruning needs a single objective, a validation metric (sweep.metric=val/...)"
            )
        for number, (_, overrides) in self.search.trials().items():
            self.state.jobs.setdefault(number, Job(overrides))

    @property
    def prunes(self) -> bool:
        """Whether jobs are pruned: their one metric has to be known while they train."""
        return self.search is not None and self.search.prunes and self.state.metrics[0].startswith("val/")

    @property
    def runs_here(self) -> bool:
        """Whether this process itself runs the jobs."""
        return self.config.hydra.launcher._target_ == BASIC_LAUNCHER and slots(self.settings["jobs"]) == 1

    def executor(self) -> Executor:
        """Return what runs the jobs: this process, workers next to it, or one of Hydra's launchers."""
        if self.runs_here:
            parts = self.context, self.task_function, self.config
            return Batches(lambda batch: [run_one_job(*parts, *job) for job in batch], slots=1)
        count = slots(self.settings["jobs"])
        if self.config.hydra.launcher._target_ == BASIC_LAUNCHER:
            return Workers(self.context, self.config, self.folder, count, self.register)
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=self.task_function, config=self.config
        )
        return Batches(partial(launch, launcher), count if self.method == "optuna" else max(1, len(self.state.jobs)))

    def work_off(self, executor: Executor) -> None:
        """Keep the executor busy until no job is left."""
        todo = self.todo()
        running = 0
        while True:
            while running < executor.slots and not self.stopped and (number := next(todo, None)) is not None:
                self.begin(number)
                executor.start(number, job_overrides(self.state, number))
                running += 1
            if not running:
                return
            ended = sum(not job.status.open for job in self.state.jobs.values())
            doing(f"{running} of {self.state.total - ended} remaining jobs running")
            number, outcome = executor.wait()
            running -= 1
            self.end(number, outcome)

    def todo(self) -> Iterator[int]:
        """Yield the numbers of the jobs to run, interrupted ones first."""
        for number in sorted(self.state.jobs):
            if self.state.jobs[number].status.open:
                yield number
        while self.search is not None and len(self.state.jobs) < self.state.total:
            number, _, overrides = self.search.ask()
            self.state.jobs[number] = Job(overrides)
            yield number

    def begin(self, number: int) -> None:
        """Give the job its run in MLflow and the files it needs in its folder."""
        state, job = self.state, self.state.jobs[number]
        varied = " ".join(f"{key}={short(job.value(key))}" for key in state.keys)
        model = job.value("model") or self.config.hydra.runtime.choices.model
        settings = [f"{key}={short(job.value(key))}" for key in state.keys if key != "model"]
        if job.run_id is None:
            job.run_id = (self.reserved.pop(number, None) or self.reserve(number)).id
        following = number + 1
        known = following in self.reserved or (following in state.jobs and state.jobs[following].run_id)
        if following < state.total and not known:  # early, so that nothing has to wait for it
            self.reserved[following] = self.reserve(following)
        self.parent.tags({"mlflow.runName": " ".join([model, *settings])}, of=job.run_id)
        if self.search is not None and self.prunes:
            trial, _ = self.search.trials()[number]
            about = self.search.about(trial, self.storage, state.metrics[0])
            state.job_folder(number).mkdir(exist_ok=True)
            (state.job_folder(number) / TRIAL_FILE).write_text(json.dumps(about), encoding="utf-8")
        job.status = JobState.RUNNING
        state.save()
        log.info("job %d (%d of %d): %s", number, number + 1, state.total, varied or "nothing varies")

    def reserve(self, number: int) -> Record:
        """Create the run in MLflow that a job will begin."""
        tags = {"runner.sweep_job": str(number)}
        return self.tracker.reserve(self.experiment, str(number), tags, self.parent.id)

    def end(self, number: int, outcome: Outcome) -> None:
        """Record how a job ended."""
        job = self.state.jobs[number]
        self.keep(number, outcome)
        if job.status == JobState.FAILED:
            log.error("job %d failed: %s", number, job.error)
            self.close_unopened(job)
            self.stopped = self.settings["on_error"] == "stop"
        elif job.status == JobState.FINISHED:
            self.require_metrics(job)
        self.state.save()

    def keep(self, number: int, outcome: Outcome) -> None:
        """Set the status and values of a job, and tell Optuna."""
        job = self.state.jobs[number]
        job.status, job.error, job.values = outcome.status, outcome.error, {}
        if outcome.status in (JobState.FINISHED, JobState.LOST):
            values = read_metrics(self.state.job_folder(number)) or {}
            if values.get("run_id") == job.run_id:
                job.status, job.error = JobState.FINISHED, None
                job.values = {name: value for name, value in values.items() if isinstance(value, int | float)}
            else:
                job.status, job.error = JobState.FAILED, outcome.error or "it left no metrics.json"
        if self.search is not None and not job.status.open:
            self.search.tell(number, job.status, [job.values.get(metric, math.nan) for metric in self.state.metrics])

    def require_metrics(self, job: Job) -> None:
        """Stop a sweep at the first job that does not have its metric."""
        absent = [metric for metric in self.state.metrics if metric not in job.values]
        if absent and (self.settings["metric"] or self.search is not None):
            known = ", ".join(sorted(name for name in job.values if "/" in name))
            raise UserError(f"sweep.metric={','.join(absent)}: a job has no such metric. It has: {known}")

    def verify(self) -> None:
        """Do not count a job as finished if its run in MLflow is not."""
        finished = {run.id for run in self.children() if run.status == "FINISHED"}
        for job in self.state.jobs_in(JobState.FINISHED).values():
            if job.run_id not in finished:
                job.status, job.error = JobState.FAILED, "MLflow has not stored its end"

    def close_unopened(self, job: Job) -> None:
        """End the run of a job that failed before it began."""
        if any(run.id == job.run_id and run.status == "SCHEDULED" for run in self.children()):
            run = self.tracker.start(self.experiment, "", params={}, tags={}, resume=job.run_id, system_metrics=False)
            run.finish("FAILED", error=job.error)

    def leave(self, stopped: BaseException) -> None:
        """Note that the sweep was interrupted, and say how to resume it."""
        for job in self.state.jobs_in(JobState.RUNNING).values():
            job.status = JobState.KILLED
        code = stopped.code if isinstance(stopped, SystemExit) else getattr(stopped, "exit_code", 130)
        name = signal.Signals(code - 128).name if isinstance(code, int) and code > 128 else None
        self.close("KILLED", f"stopped by {name}" if name else None)
        print(f"runner: resume with: runner -m resume_sweep={self.state.name}", file=sys.stderr)

    def close(self, status: Status, error: str | None) -> None:
        """Record the end of the sweep, here and in MLflow."""
        self.state.status = status
        self.state.save()
        self.parent.finish(status, error=error)
        self.parent.wait()
