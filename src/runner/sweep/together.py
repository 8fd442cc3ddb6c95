"""Several sweeps as one, so that their settings are compared in the tables of a sweep."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.errors import UserError
from runner.sweep.state import JobState, SweepState, find_sweep
from runner.sweep.statistics import REPEATS
from runner.tracking.find import runs_with_tag


@dataclass
class Together(SweepState):
    """The finished jobs of several sweeps; which one it was in is the setting `sweep` of a job.

    Args:
        folders: the run folder of each job.
    """

    folders: dict[int, Path] = field(default_factory=dict)

    def job_folder(self, number: int) -> Path:
        return self.folders[number]


def sweep_called(which: str, outputs: Path) -> SweepState | None:
    """Return the sweep with this name, folder or id; None if there is none, or if "last" may mean a run."""
    try:
        return find_sweep(which, outputs) if which != "last" else None
    except UserError:
        return None


def together(sweeps: Sequence[SweepState], uri: str | None, outputs: Path) -> Together:
    """Return the sweeps as one; data, seeds and folds are those of the record, also where nothing was typed.

    Raises:
        UserError: there is one alone, different metrics pick their best jobs, or the record lacks their runs.
    """
    picks = {sweep.name: " ".join([*sweep.metrics, *sweep.directions]) for sweep in sweeps}
    if len(picks) < max(len(sweeps), 2):
        raise UserError(f"two or more sweeps of different names can be compared, received {', '.join(picks)}")
    if len(set(picks.values())) > 1:
        said = "; ".join(f"{name} by {pick}" for name, pick in picks.items())
        raise UserError(f"the best job is picked by different metrics: {said}. Sweep again with the same sweep.metric=")
    found = Together(Path(" and ".join(picks)), metrics=sweeps[0].metrics, directions=sweeps[0].directions)
    for sweep in sweeps:
        runs = {run.id: run for run in runs_with_tag(uri, outputs, "mlflow.parentRunId", str(sweep.parent))}
        for number, job in sweep.jobs_in(JobState.FINISHED).items():
            if (run := runs.get(str(job.run_id))) is None:
                raise UserError(f"the record has no run {job.run_id}, job {number} of the sweep {sweep.name}")
            known = {"sweep": sweep.name, "data": run.tags.get("runner.data", "")}
            known |= {key: run.params[key] for key in REPEATS if key in run.params}
            found.folders[len(found.jobs)] = sweep.job_folder(number)
            overrides = [*job.overrides, *(f"{key}={value}" for key, value in known.items())]
            found.jobs[len(found.jobs)] = replace(job, overrides=overrides)
    keys = dict.fromkeys(["sweep", *(key for sweep in sweeps for key in sweep.keys), "data", *REPEATS])
    found.keys = [key for key in keys if len({job.value(key) for job in found.jobs.values()}) > 1]
    return found
