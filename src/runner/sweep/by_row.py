"""Comparing two models on the same test rows: McNemar's test, and the bootstrap over rows.

A run writes what it answered to every test row into `files/test_rows.csv` (`runner.tasks.answered_rows`).

Sources: Quinn McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
Psychometrika 12, 1947 (here in its exact form); Bradley Efron, Bootstrap methods: another look at the jackknife,
Annals of Statistics 7, 1979.

Shape letters: N rows, J jobs.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runner.sweep.state import Job, SweepState
from runner.sweep.statistics import REPEATS

ROWS = Path("files") / "test_rows.csv"  # in the folder of a run, and among its artifacts
DRAWS = 2000  # of the bootstrap
AT_ONCE = 1 << 22  # numbers that are drawn at once


class RowsTested(NamedTuple):
    """What a run answered to its test rows.

    Args:
        truths: the truth of each row, as text, by the number of the row.
        values: 1 for each right class and 0 for each wrong one; or how far values are from the true ones.
        metric: what the mean of the values is called: accuracy, or error.
    """

    truths: dict[int, tuple[str, ...]]
    values: dict[int, float]
    metric: str


def rows_tested(path: Path) -> RowsTested | None:
    """Read the file of a run; None if it has none."""
    if not path.is_file():
        return None
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = "truth" in rows[0]
    names = ["truth"] if classes else [name for name in rows[0] if name.startswith("true_")]
    truths = {int(row["row"]): tuple(row[name] for name in names) for row in rows}
    values = {int(row["row"]): float(row["truth"] == row["label"]) if classes else float(row["error"]) for row in rows}
    return RowsTested(truths, values, "accuracy" if classes else "error")


class RowDifference(NamedTuple):
    """How one model differs from another one on the rows that both were tested on.

    Args:
        metric: accuracy, or error.
        rows: N.
        mean: of the differences.
        low: lower end of the 95 % interval of the bootstrap over rows.
        high: its upper end.
        only_ours: rows that only the first model has right; None if values are compared, or means of several runs.
        only_theirs: rows that only the second model has right.
        p: of McNemar's test, two-sided and exact: how likely such counts are if neither is better.
    """

    metric: str
    rows: int
    mean: float
    low: float
    high: float
    only_ours: int | None = None
    only_theirs: int | None = None
    p: float | None = None


def row_difference(
    ours: Mapping[tuple[str, ...], Iterable[RowsTested]], theirs: Mapping[tuple[str, ...], Iterable[RowsTested]]
) -> RowDifference | None:
    """Compare two settings row by row; the value of a row is its mean over runs that differ in the seed alone.

    Args:
        ours: the runs of the first setting, by what decides which rows are tested, such as the fold.
        theirs: those of the second one.

    Returns:
        None if there are no rows that both were tested on, or if the same row has different truths.
    """
    pairs: list[tuple[float, float]] = []
    metrics = set()
    runs = 1
    for part in ours.keys() & theirs.keys():
        both = [*ours[part], *theirs[part]]
        if not both or any(each.truths != both[0].truths for each in both):
            return None
        metrics |= {each.metric for each in both}
        runs = max(runs, len(both) - 1)
        pairs += zip(*(means_by_row(side[part]) for side in (ours, theirs)), strict=True)
    if not pairs or len(metrics) > 1:
        return None
    first, second = np.array(pairs).T
    low, high = bootstrap(first - second)
    found = RowDifference(metrics.pop(), len(pairs), float((first - second).mean()), low, high)
    if found.metric != "accuracy" or runs > 1:
        return found
    counts = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return found._replace(only_ours=counts[0], only_theirs=counts[1], p=mcnemar(*counts))


def means_by_row(runs: Iterable[RowsTested]) -> list[float]:
    """Return the mean value of each row over some runs, in the order of the rows."""
    table = np.array([[run.values[row] for row in sorted(run.values)] for run in runs])  # (J, N)
    return table.mean(axis=0).tolist()


def mcnemar(only_ours: int, only_theirs: int) -> float:
    """Return the p of McNemar's exact test; 1 if the models are never right and wrong on different rows."""
    from scipy.stats import binomtest

    both = only_ours + only_theirs
    return float(binomtest(only_ours, both).pvalue) if both else 1.0


def bootstrap(differences: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval (percentiles) of the mean of differences (N,), drawn from them anew; always alike."""
    draw, rows = np.random.default_rng(0), len(differences)
    each = max(1, AT_ONCE // rows)
    means = [
        differences[draw.integers(rows, size=(min(each, DRAWS - first), rows))].mean(axis=1)
        for first in range(0, DRAWS, each)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def runs_by_part(state: SweepState, jobs: Iterable[Job]) -> dict[tuple[str, ...], list[RowsTested]]:
    """Return what the jobs of one setting answered, by what decides which rows are tested; none if one did not say."""
    numbers = {id(job): number for number, job in state.jobs.items()}
    parts = [key for key in state.keys if key in REPEATS and key != "seed"]
    found: dict[tuple[str, ...], list[RowsTested]] = {}
    for job in jobs:
        if (tested := rows_tested(state.job_folder(numbers[id(job)]) / ROWS)) is None:
            return {}
        found.setdefault(tuple(map(job.value, parts)), []).append(tested)
    return found
