"""`runner compare`: compares runs: the settings in which they differ, their metrics, their curves in one figure.

Of sweeps it compares all settings, in pairs of jobs with the same seed and fold.
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from runner.config.catalog import RECORDED
from runner.errors import UserError, closest
from runner.verbs.options import File, Tracked, Typed, run_ids

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient
    from rich.table import Table

    from runner.figures.charts import Curve
    from runner.sweep.state import SweepState

MOST_RUNS = 50
WIDEST = 5  # runs of one table
HIDDEN = ("tracking.", "resume", "allow", "offline")
MOST_PANELS = 3


@dataclass(kw_only=True)
class Compare(Tracked):
    """Show settings that differ, metrics, and curves in a figure; compare with the best run, test row by test row.

    Settings of several sweeps are compared with the best of them all, in pairs of jobs with the same seed and fold.

    Args:
        runs: ids, beginnings of ids, names or folders; or names, folders or ids of sweeps; none with experiment=.
        experiment: all runs of this MLflow experiment, such as runner.
        output: the figure, .png, .pdf or .svg; usually outputs/compare.png.
    """

    runs: Annotated[tuple[str, ...], Typed("ID ID ...", form="words", candidates=run_ids)] = ()
    experiment: str | None = None
    output: File = None

    def __call__(self) -> int:
        from rich.console import Console

        from runner.figures import charts
        from runner.sweep.together import sweep_called
        from runner.tracking.artifacts import client
        from runner.tracking.find import find_run

        if bool(self.runs) == bool(self.experiment):
            raise UserError("name the runs or an experiment: compare ID ID ..., or compare experiment=runner")
        sweeps = [sweep_called(one, self.outputs) for one in self.runs]
        if any(sweeps):
            return self.print_sweeps(sweeps)
        target = self.output or self.outputs / "compare.png"
        if target.suffix not in (".png", ".pdf", ".svg"):
            raise UserError(f"output is a figure that ends in .png, .pdf or .svg; received {str(target)!r}")
        infos = [find_run(self.tracking_uri, self.outputs, one) for one in dict.fromkeys(self.runs)]
        tracker = client(self.tracking_uri, self.outputs)
        runs = runs_of(tracker, self.experiment) if self.experiment else [tracker.get_run(info.id) for info in infos]
        if len(runs) < 2:
            raise UserError(f"there is only one run, {runs[0].info.run_id}: two or more can be compared")
        labels = [f"{run.info.run_name} {run.info.run_id[:6]}" for run in runs]
        console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
        console.print(*tables_of(labels, runs), sep="\n")
        ranked = ranked_runs(dict(zip(labels, runs, strict=True)))
        console.print(*by_test_rows(tracker, ranked), sep="\n")
        drawn = charts.compared_curves(curves(tracker, list(ranked.values()), list(ranked)))
        charts.entitle(drawn, f"{len(runs)} runs" + f" of {self.experiment}" * bool(self.experiment))
        target.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(target)
        print(f"figure: {target}")
        return 0

    def print_sweeps(self, sweeps: "list[SweepState | None]") -> int:
        """Print the settings of sweeps, and how far each of them is from the best one on the same data."""
        from rich.console import Console

        from runner.sweep.report import WIDTH, chosen_columns
        from runner.sweep.table import difference_table, setting_table
        from runner.sweep.together import together

        named = [sweep for sweep in sweeps if sweep]
        if len(named) < len(sweeps) or self.output:
            raise UserError("compare either runs or sweeps (their names); output= is the figure of runs")
        found = together(named, self.tracking_uri, self.outputs)
        console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else WIDTH)
        for sweep in named:
            console.print(f"{sweep.name}: {' '.join(sweep.overrides)}", markup=False)
        columns = chosen_columns(found, None)
        differences = difference_table(found, columns)
        setting_table(found, columns, paper=False).print(console)
        if not differences.rows:
            raise UserError("no two settings on the same data have two seeds or folds, or test rows, in common")
        differences.print(console)
        return 0


def runs_of(tracker: "MlflowClient", experiment: str) -> list["Run"]:
    """Return the finished and unfinished runs of an experiment, oldest first."""
    found = tracker.get_experiment_by_name(experiment)
    if found is None:
        there = [each.name for each in tracker.search_experiments()]
        raise UserError(
            f'there is no experiment "{experiment}".{closest(experiment, there)} There are: {", ".join(there)}'
        )
    newest = tracker.search_runs(
        [found.experiment_id], order_by=["attributes.start_time DESC"], max_results=MOST_RUNS + 1
    )
    runs = [run for run in newest if "runner.model" in run.data.tags]  # the parent run of a sweep has no settings
    if not runs:
        raise UserError(f'the experiment "{experiment}" has no runs yet')
    if len(runs) > MOST_RUNS:
        print(f"the last {MOST_RUNS} runs of {experiment}")
    return runs[:MOST_RUNS][::-1]


def settings_of(run: "Run") -> dict[str, str]:
    """Return the settings a run was trained with; choices are given by name.

    MLflow keeps the first value of a setting; a tag holds those that were found or changed later.
    """
    choices = {group: run.data.tags[f"runner.{group}"] for group in RECORDED if f"runner.{group}" in run.data.tags}
    changed = json.loads(run.data.tags.get("runner.changed_params", "{}"))
    now = {name: str(value[1]) for name, value in changed.items()}
    settings = {name: value for name, value in (run.data.params | now).items() if not name.startswith(HIDDEN)}
    return choices | {n: v for n, v in settings.items() if n.removesuffix("._target_") not in choices}


def differing(columns: list[dict[str, str]]) -> dict[str, list[str]]:
    """Return {name: value in each column} for the names whose values are not all the same."""
    every = sorted({name for column in columns for name in column})
    rows = {name: [column.get(name, "") for column in columns] for name in every}
    return {name: row for name, row in rows.items() if len(set(row)) > 1}


def metrics_of(run: "Run") -> dict[str, float]:
    """Return the final metrics of a run: those of the kept checkpoint and of the test split, else the last ones."""
    final = {name: value for name, value in run.data.metrics.items() if name.startswith(("best/", "test/", "fit/"))}
    kept = ("val/", "train/")
    last = {n: v for n, v in run.data.metrics.items() if n.startswith(kept) and not n.endswith(("_step", "/lr"))}
    return final or last


def ranked_runs(runs: dict[str, "Run"]) -> dict[str, "Run"]:
    """Return the runs with the best value of what selects their checkpoint first; those without one come last."""

    def place(label: str) -> float:
        run = runs[label]
        monitor = run.data.params.get("task.monitor", "").replace("val/", "best/")
        value = run.data.metrics.get(monitor, math.nan)
        value = -value if run.data.params.get("task.mode") == "max" else value
        return math.inf if math.isnan(value) else value

    return {label: runs[label] for label in sorted(runs, key=place)}


def tables_of(labels: list[str], runs: list["Run"]) -> list["Table"]:
    """Return tables with a column for each run; if there are many runs, several tables with the same rows."""
    from rich.table import Column, Table

    rows = differing([settings_of(run) for run in runs])
    status = [run.info.status.lower() for run in runs]
    if set(status) != {"finished"}:
        rows = {"status": status, **rows}
    metrics = [metrics_of(run) for run in runs]
    for name in sorted({name for each in metrics for name in each}):
        rows[name] = [f"{each[name]:.4f}" if name in each else "" for each in metrics]
    tables = []
    for first in range(0, len(runs), WIDEST):
        some = slice(first, first + WIDEST)
        table = Table(Column(no_wrap=True), *(Column(label, overflow="fold") for label in labels[some]))
        for name, cells in rows.items():
            table.add_row(name, *cells[some])
        tables.append(table)
    return tables


def by_test_rows(tracker: "MlflowClient", ranked: dict[str, "Run"]) -> list["Table | str"]:
    """Return a table that compares each run with the best one of those with the same test rows, or why there is none.

    Args:
        tracker: has the files of runs that are not on this machine.
        ranked: the runs, the best first.
    """
    from rich.table import Table

    from runner.sweep.by_row import RowsTested, row_difference, rows_tested

    same: list[dict[str, RowsTested]] = []  # runs with the same test rows
    for label, run in ranked.items():
        if (tested := rows_tested(file_of_rows(tracker, run))) is not None:
            group = next((each for each in same if next(iter(each.values())).truths == tested.truths), None)
            if group is None:
                same.append(group := {})
            group[label] = tested
    if not any(len(group) > 1 for group in same):
        return ["no comparison row by row: no two runs answered the same test rows"]
    header = ["difference", "95 % interval over rows", "only this right", "only the other right", "McNemar's p"]
    table = Table("run", "minus", "metric", "rows", *header, title="on the same test rows", title_justify="left")
    for group in same:
        best, *others = group
        for label in others:
            if one := row_difference({(): [group[label]]}, {(): [group[best]]}):
                counts = ["" if count is None else str(count) for count in (one.only_ours, one.only_theirs)]
                p = "" if one.p is None else f"{one.p:.4g}"
                interval = f"{one.low:+.4f} to {one.high:+.4f}"
                table.add_row(label, best, one.metric, str(one.rows), f"{one.mean:+.4f}", interval, *counts, p)
    return [table]


def file_of_rows(tracker: "MlflowClient", run: "Run") -> Path:
    """Return the file with what a run answered to its test rows: its own, or the tracker's copy; it may not exist."""
    from runner.sweep.by_row import ROWS

    own = Path(run.data.tags.get("runner.folder", "")) / ROWS
    stored = ROWS.as_posix()
    if own.is_file() or stored not in [each.path for each in tracker.list_artifacts(run.info.run_id, ROWS.parent.name)]:
        return own
    return Path(tracker.download_artifacts(run.info.run_id, stored))


def curves(tracker: "MlflowClient", runs: list["Run"], labels: list[str]) -> dict[str, dict[str, list["Curve"]]]:
    """Return {metric: {run: [validation curve, training curve]}} for the loss and the monitored metrics."""
    monitors = [run.data.params.get("task.monitor", "") for run in runs]
    recorded = {n.split("/", 1)[1] for run in runs for n in run.data.metrics if n.startswith(("train/", "val/"))}
    others = sorted(name for name in recorded if not name.endswith("_step") and name != "lr")
    for names in (["loss", *(name.split("/", 1)[1] for name in monitors if "/" in name)], others):
        panels = {name: panel(tracker, runs, labels, name) for name in list(dict.fromkeys(names))[:MOST_PANELS]}
        if any(panels.values()):
            break
    return {name: curve for name, curve in panels.items() if curve}


def panel(tracker: "MlflowClient", runs: list["Run"], labels: list[str], name: str) -> dict[str, list["Curve"]]:
    """Return the curves of one metric, over the epochs, of the runs that have it."""
    from runner.figures.charts import epochs_at

    found = {}
    for run, label in zip(runs, labels, strict=True):
        pair = [history(tracker, run, f"{split}/{name}") for split in ("val", "train")]
        if any(steps for steps, _ in pair):
            ends = history(tracker, run, "epoch")
            found[label] = [(epochs_at(steps, *ends), values) for steps, values in pair]
    return found


def history(tracker: "MlflowClient", run: "Run", metric: str) -> tuple[list[int], list[float]]:
    """Return the steps and values of a metric in the order of the steps."""
    if metric not in run.data.metrics:
        return [], []
    points = sorted({point.step: point.value for point in tracker.get_metric_history(run.info.run_id, metric)}.items())
    return [step for step, _ in points], [value for _, value in points]
