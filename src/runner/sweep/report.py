"""The end of a sweep: mark the best jobs, draw tables and figures, and store everything in the parent run."""

import math
import re
import sys
from pathlib import Path

from runner.sweep.nested import nested_scores
from runner.sweep.state import JobState, SweepState
from runner.sweep.statistics import are_repeated, groups, setting_keys, summaries
from runner.sweep.table import closing_tables, write_tables
from runner.tracking.record import Record

WIDTH = 120  # characters of the tables without a terminal
MOST_COLUMNS = 4  # of a table if the user has not chosen any


def conclude(state: SweepState, columns: list[str] | None, parent: Record) -> None:
    """Mark the best jobs, write tables and figures, hand them to the parent run and print the tables."""
    mark_best(state, parent)
    columns = chosen_columns(state, columns)
    files = write_tables(state, columns) + write_figures(state)
    numbers = parent_metrics(state, columns)
    if numbers:
        parent.metrics(numbers, step=len(state.jobs_in(JobState.FINISHED)))
    ended = (JobState.FINISHED, JobState.PRUNED, JobState.FAILED, JobState.KILLED)
    counts = {status: len(state.jobs_in(status)) for status in ended}
    parent.tags({"runner.jobs": ", ".join(f"{count} {status}" for status, count in counts.items() if count)})
    state.save()
    for path in [*files, state.folder / "sweep.json"]:
        parent.artifact(path, "figures" if path.suffix == ".png" else None)
    print_summary(state, columns)


def mark_best(state: SweepState, parent: Record) -> None:
    """Find the best jobs and mark them in MLflow; jobs that are no longer best lose the mark."""
    before, state.best = state.best, best_jobs(state)
    for number in before:
        if number not in state.best and state.jobs[number].run_id:
            parent.tags({"runner.best": "false"}, of=state.jobs[number].run_id)
    for number in state.best:
        parent.tags({"runner.best": "true"}, of=state.jobs[number].run_id)
    if state.best:
        runs = [str(state.jobs[number].run_id) for number in state.best]
        parent.tags({"runner.best_run": ", ".join(runs), "runner.best_job": ", ".join(map(str, state.best))})


def best_jobs(state: SweepState) -> list[int]:
    """Return the job with the best value (the first of equals); with several objectives, all unbeaten jobs."""
    signs = [-1.0 if direction == "max" else 1.0 for direction in state.directions]
    points: dict[int, list[float]] = {}
    for number, job in state.jobs_in(JobState.FINISHED).items():
        values = [job.values.get(metric, math.nan) for metric in state.metrics]
        if all(map(math.isfinite, values)):
            points[number] = [sign * value for sign, value in zip(signs, values, strict=True)]
    if not points:
        return []
    if len(signs) == 1:
        return [min(points, key=lambda number: points[number])]
    return [number for number, point in points.items() if not any(beats(other, point) for other in points.values())]


def beats(one: list[float], other: list[float]) -> bool:
    """Whether `one` is never larger and at least once smaller."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def chosen_columns(state: SweepState, columns: list[str] | None) -> list[str]:
    """Return the metrics for the tables: those asked for, or those of the sweep and the same of the test split.

    The accuracy of classifiers is always shown, even if another metric picks the best one.
    """
    known = {name for job in state.jobs.values() for name in job.values}
    if columns:
        return columns
    chosen = [metric for metric in state.metrics if metric in known]
    chosen += [test for metric in chosen if (test := metric.replace("val/", "test/")) in known and test not in chosen]
    if "test/accuracy" in known - set(chosen):
        chosen.append("test/accuracy")
    return chosen or sorted(name for name in known if "/" in name)[:MOST_COLUMNS]


def parent_metrics(state: SweepState, columns: list[str]) -> dict[str, float]:
    """Return the metrics of the parent run: the best values, and mean, deviation and interval of repetitions."""
    numbers: dict[str, float] = {}
    for metric, pick in zip(state.metrics, state.directions, strict=True):
        found = [state.jobs[number].values[metric] for number in state.best]
        if found:
            numbers[f"best/{metric}"] = min(found) if pick == "min" else max(found)
    names = [key.rsplit(".", 1)[-1] for key in setting_keys(state.keys)]
    for setting, jobs in groups(state).items() if are_repeated(state.keys) else ():
        name = " ".join(f"{key}:{value}" for key, value in zip(names, setting, strict=True))
        prefix = re.sub(r"[^\w.\-: ]", "_", name)[:150] + "/" if names else ""
        for metric, said in summaries(jobs, columns).items():
            values = {"mean": said.mean, "std": said.std, "ci95_low": said.low, "ci95_high": said.high, "n": said.count}
            numbers |= {f"{prefix}{metric}/{part}": value for part, value in values.items() if not math.isnan(value)}
    for metric, said in nested_scores(state, columns).items():
        numbers |= {
            f"nested/{metric}/mean": said.mean,
            f"nested/{metric}/std": said.std,
            f"nested/{metric}/n": said.count,
        }
    return numbers


def write_figures(state: SweepState) -> list[Path]:
    """Draw the figures into `figures/` of the sweep's folder and return their paths."""
    from runner.sweep.plots import sweep_figures

    folder = state.folder / "figures"
    paths = []
    for name, figure in sweep_figures(state).items():
        folder.mkdir(exist_ok=True)
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1])
    return paths


def print_summary(state: SweepState, columns: list[str]) -> None:
    """Print the tables, the failed jobs, and where the results are."""
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    for table in closing_tables(state, columns):
        table.print(console)
    for number, job in state.jobs_in(JobState.FAILED).items():
        console.print(f"job {number} failed: {job.error}", markup=False)
    for number in state.best:
        console.print(f"best:   job {number}, run {state.jobs[number].run_id}")
    console.print(f"folder: {state.folder}")
    left = state.total - len(state.jobs_in(JobState.FINISHED, JobState.PRUNED))
    if left:
        console.print(f"next:   runner -m resume_sweep={state.name}   ({left} of {state.total} jobs are left)")
    elif state.best:
        best = state.jobs[state.best[0]].run_id
        console.print(f"next:   runner predict run={best} ... | runner evaluate run={best} | runner ui")
