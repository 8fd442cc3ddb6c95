"""What a trained model answers to the rows of its own data, and how good it is on parts of them.

Shape letters: N rows, K classes.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from runner.datamodules.base import DataModule
from runner.datamodules.parts.targets import Numbers
from runner.datamodules.table import Table
from runner.errors import UserError, closest
from runner.files import rows as user_rows
from runner.inference.predictor import BATCH
from runner.tasks.answers import class_names
from runner.tasks.base import Task

LENGTH, TRUTH, ALL = "length", "truth", "all"
OF_ROWS = ("loss", "accuracy")  # metrics that need no rows of every class
MOST_KINDS = 12  # different values of a column that are slices of their own; more numbers become quarters


def truths_of(data: DataModule, split: str) -> np.ndarray:
    """The truth of each row of a split, in the form that an objective scores: real values are (N, D)."""
    found = np.asarray(data.targets_of(split))
    return found.reshape(len(found), -1) if isinstance(data.targets, Numbers) else found


def chunks_of(rows: Sequence[dict]) -> Iterator[list[dict]]:
    """Yield as many rows as are answered at once."""
    for first in range(0, len(rows), BATCH):
        yield list(rows[first : first + BATCH])


@torch.inference_mode()
def answers_of(task: Task, data: DataModule, rows: Sequence[dict]) -> list[dict]:
    """Return the answer to each raw row."""
    return [answer for some in chunks_of(rows) for answer in task.answer(some, data)]


def probabilities_of(task: Task, data: DataModule, split: str) -> np.ndarray:
    """Return the probability of each class for each row of a split, (N, K).

    Raises:
        UserError: the objective does not answer with probabilities.
    """
    names = [f"probability_{name}" for name in class_names(data)]
    found = answers_of(task, data, data.raw(split))
    if not found or names[0] not in found[0]:
        raise UserError(f"{type(task).__name__} answers without probabilities of classes")
    return np.array([[answer[name] for name in names] for answer in found])


def scores_of(task: Task, data: DataModule, rows: Sequence[dict], truths: np.ndarray) -> dict[str, float]:
    """Return the metrics of some raw rows."""
    task.start_scoring()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torchmetrics")  # a slice need not hold every class
        for first in range(0, len(rows), BATCH):
            task.score(list(rows[first : first + BATCH]), list(truths[first : first + BATCH]), data)
        return task.scores()


def by_slice(
    task: Task, data: DataModule, rows: Sequence[dict], truths: np.ndarray, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return {slice: its number of rows and its metrics}, and those of all rows at the end.

    A slice without rows of every class has no metrics that are means over classes or rank the rows of a class.

    Args:
        task: the trained model.
        data: that it was trained on.
        rows: raw rows.
        truths: the truth of each.
        names: the slice of each.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    found = {}
    ordered = [(name, places[name]) for name in sorted(places, key=slice_order)]
    for name, some in [*ordered, (ALL, list(range(len(rows))))]:
        scores = scores_of(task, data, [rows[n] for n in some], truths[some])
        if data.class_names and len(np.unique(truths[some])) < len(data.class_names):
            scores = {each: value for each, value in scores.items() if each in OF_ROWS}
        found[name] = {"rows": float(len(some)), **scores}
    return found


def slices(values: Sequence[Any]) -> list[str]:
    """Return the slice of each value: the value itself, or its quarter if the values are many different numbers."""
    shown = ["" if value is None else str(value) for value in values]
    if len(set(shown)) <= MOST_KINDS:
        return shown
    try:
        numbers = np.array([float(text) if text else np.nan for text in shown])
    except ValueError:
        return shown
    edges = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    number = np.searchsorted(edges[1:-1], numbers, side="left")  # the quarter (N,); an edge belongs to the lower one
    named = {place: quarter(numbers[number == place]) for place in np.unique(number)}
    return ["" if np.isnan(one) else named[place] for one, place in zip(numbers, number, strict=True)]


def quarter(numbers: np.ndarray) -> str:
    """Name a quarter by the smallest and the largest number in it; numbers that are missing do not count."""
    if np.isnan(numbers).all():
        return ""
    return f"{np.nanmin(numbers):g} to {np.nanmax(numbers):g}"


def slice_order(name: str) -> tuple[float, str]:
    """Sort slices: numbers by their size, before words."""
    try:
        return float(name.split(" to ")[0]), ""
    except ValueError:
        return math.inf, name


def column_of(data: DataModule, split: str, rows: Sequence[dict], by: str) -> list[Any]:
    """Return a value for each row of a split: of one of its columns, of the user's table too; its length; its truth.

    Raises:
        UserError: there is no such column.
    """
    if by == TRUTH and data.class_names:
        return [data.class_names[number] for number in data.targets_of(split)]
    if by == LENGTH and (lengths := lengths_of(data, rows)):
        return lengths
    if by in data.columns:
        return [row[by] for row in rows]
    if isinstance(data, Table) and (found := column_of_table(data, split, by)):
        return found
    known = [*data.columns, *(others(data) if isinstance(data, Table) else ())]
    known += [TRUTH] if data.class_names else []
    known += [LENGTH] if lengths_of(data, rows[:1]) else []
    raise UserError(f"by={by}: this data has no such column.{closest(by, known)} There are: {', '.join(known)}")


def lengths_of(data: DataModule, rows: Sequence[dict]) -> list[int]:
    """Return the number of tokens of each row, before anything is cut off; none if the rows are no texts."""
    words = getattr(getattr(data.inputs, "pipeline", None), "words", None)
    texts = [name for name, kind in data.columns.items() if kind == "string"]
    return [sum(len(words(str(row[name]))) for name in texts) for row in rows] if words and texts else []


def others(data: Table) -> list[str]:
    """Return the names of all columns of a user's table that the model is not given."""
    return [name for name in user_rows.facts(data.reading).columns if name not in data.columns]


def column_of_table(data: Table, split: str, name: str) -> list[Any]:
    """Return a column of a user's table for the rows of a split; none if there is no such column."""
    if name not in others(data):
        return []
    cells = [row.get(name) for part in user_rows.parts(data.reading) for _, row in part.file.rows()]
    index = data.prepared.rows.index[split] if data.prepared else []  # type: ignore[union-attr]
    return [cells[row] for row in index]
