"""The state of a sweep: `sweep.json` in its folder, written in one step at every change.

The file lists the jobs, so that an interrupted sweep can be resumed and completed. How a job ended is read from the job
itself: its `metrics.json` and its run in MLflow.
"""

import json
import os
import uuid
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

from runner.errors import UserError, closest
from runner.files.atomic import write_atomically
from runner.training.resume import key_of

FILE = "sweep.json"


class JobState(StrEnum):
    """The state of a job."""

    WAITING = auto()
    RUNNING = auto()
    FINISHED = auto()
    PRUNED = auto()
    FAILED = auto()
    KILLED = auto()
    LOST = auto()  # whether it finished can only be read from its folder; never stored

    @property
    def open(self) -> bool:
        """Whether a resumed sweep has to run the job; it keeps the results of the others."""
        return self in (JobState.WAITING, JobState.RUNNING, JobState.KILLED)


@dataclass
class Job:
    """One run of a sweep.

    Args:
        overrides: what is composed for it.
        status: its state.
        run_id: its run in MLflow, once there is one.
        values: its metrics, once it has finished.
        error: why it failed.
    """

    overrides: list[str]
    status: JobState = JobState.WAITING
    run_id: str | None = None
    values: dict[str, float] = field(default_factory=dict)
    error: str | None = None

    def value(self, key: str) -> str:
        """The value of the override of `key`, as typed; "" if there is none."""
        found = [text.split("=", 1)[1] for text in self.overrides if key_of(text) == key]
        return found[-1] if found else ""


@dataclass
class SweepState:
    """Everything that is needed to resume a sweep.

    Args:
        folder: where it is stored.
        id: different for every sweep.
        created: local date and time.
        cwd: where the command was typed.
        overrides: what was typed, Hydra's own overrides included.
        config_dir: the folder given with `--config-dir`.
        keys: what varies, without + before it.
        total: number of jobs when it is complete.
        parent: its run in MLflow.
        processes: names of the processes that write to MLflow for it.
        status: RUNNING, FINISHED, FAILED or KILLED.
        metrics: what picks the best job.
        directions: min or max, for each metric.
        best: numbers of the best jobs.
        jobs: {number: job}.
    """

    folder: Path
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: str = field(default_factory=lambda: datetime.now().isoformat())
    cwd: str = field(default_factory=os.getcwd)
    overrides: list[str] = field(default_factory=list)
    config_dir: str | None = None
    keys: list[str] = field(default_factory=list)
    total: int = 0
    parent: str | None = None
    processes: list[str] = field(default_factory=list)
    status: str = "RUNNING"
    metrics: list[str] = field(default_factory=list)
    directions: list[str] = field(default_factory=list)
    best: list[int] = field(default_factory=list)
    jobs: dict[int, Job] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder.name

    def jobs_in(self, *states: JobState) -> dict[int, Job]:
        """Return the jobs in one of these states, in order."""
        return {number: job for number, job in sorted(self.jobs.items()) if job.status in states}

    def job_folder(self, number: int) -> Path:
        return self.folder / str(number)

    def save(self) -> None:
        """Write the file in one step, so that a kill leaves either the old or the new one."""
        content = asdict(self) | {"folder": None, "jobs": {str(n): asdict(job) for n, job in self.jobs.items()}}
        write_atomically(self.folder / FILE, json.dumps(content, indent=1))

    @classmethod
    def load(cls, folder: Path) -> "SweepState":
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        jobs = {
            int(number): Job(**{**job, "status": JobState(job["status"])})
            for number, job in content.pop("jobs").items()
        }
        return cls(**{**content, "folder": folder, "jobs": jobs})


def find_sweep(which: str, outputs: Path) -> SweepState:
    """Return a sweep.

    Args:
        which: its name, the path of its folder, the id of its run in MLflow, or "last".
        outputs: folder of all runs.

    Raises:
        UserError: there is no such sweep.
    """
    if (Path(which).expanduser() / FILE).is_file():
        return SweepState.load(Path(which).expanduser().resolve())
    states = [SweepState.load(path.parent) for path in (outputs / "sweeps").glob(f"*/{FILE}")]
    states.sort(key=lambda state: state.created)
    if which == "last" and states:
        return states[-1]
    found = [state for state in states if which in (state.name, state.parent)]
    if found:
        return found[-1]
    names = [state.name for state in states]
    known = f" The last ones: {', '.join(names[-5:])}." if names else ""
    raise UserError(f'there is no sweep "{which}" in {outputs / "sweeps"}.{closest(which, names)}{known}')


def read_metrics(folder: Path) -> dict[str, Any] | None:
    """Return what `metrics.json` of a job holds, or None if the job has not finished."""
    path = folder / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
