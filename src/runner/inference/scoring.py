"""How good a trained model is on a labelled file: metrics, and the rows with the largest errors."""

import heapq
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from runner.datamodules.base import DataModule
from runner.errors import UserError, closest
from runner.files.rows import read_rows
from runner.inference.output import writer
from runner.inference.predictor import BATCH, Predictor, cleaned, number_of

SHOWN = 10  # rows with the largest errors
CHARACTERS = 1 << 20  # of a text that are scored at once


def score_file(
    predictor: Predictor, file: Path, label: str | None, output: Path | None
) -> tuple[dict[str, float], int, list[str]]:
    """Score the rows of a file, batch by batch; return what `score` does.

    Args:
        predictor: the trained model.
        file: the rows with their truth.
        label: the column with the truth; None = as in training.
        output: a file for every row with its answer and error; None = none.
    """
    if predictor.data.targets is None:
        return score_text(predictor, file), 0, []
    columns = label_columns(predictor, label)
    with writer(output) as write:
        return score(predictor, labelled(file, predictor, columns), write)


def label_columns(predictor: Predictor, label: str | None) -> list[str]:
    """Return the columns with the truth: what the user says, or what they were called in training."""
    data = predictor.data
    if data.target_names is None:
        return [label or predictor.cfg.data.get("label") or "label"]
    if label and len(data.target_names) > 1:
        raise UserError(f"this model answers several values: the columns are {', '.join(data.target_names)}")
    return [label] if label else list(data.target_names)


def labelled(file: Path, predictor: Predictor, columns: list[str]) -> Iterator[tuple[str, dict, Any]]:
    """Yield (place, row for the net, truth) of every row of a file.

    Raises:
        UserError: naming file, line and column of what cannot be read.
    """
    for place, row in read_rows(file):
        for column in columns:
            if column not in row:
                raise UserError(
                    f'{place} has no column "{column}" with the truth.{closest(column, row)} It has: '
                    f"{', '.join(map(str, row))}. Name the column: label=COLUMN"
                )
        where = f'{place}, column "{columns[0]}"'
        if predictor.data.class_names is not None:
            truth: Any = class_number(row[columns[0]], predictor.data.class_names, where)
        else:
            truth = [number_of(row[column], f'{place}, column "{column}"') for column in columns]
        yield place, cleaned(row, predictor.columns, place), truth


def class_number(cell: Any, names: list[str], place: str) -> int:
    """Return the number of a class by its name, or by the number itself where no class has such a name."""
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    if text in names:
        return names.index(text)
    if text.isdigit() and int(text) < len(names) and not any(name.isdigit() for name in names):
        return int(text)
    known = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
    raise UserError(f'{place}: "{text}" is not a class of this model.{closest(text, names)} Classes: {known}')


def score(
    predictor: Predictor, rows: Iterable[tuple[str, dict, Any]], write: Callable[[dict], None]
) -> tuple[dict[str, float], int, list[str]]:
    """Return (metrics, number of rows, the rows with the largest errors in words); hand every row to `write`."""
    task, data = predictor.task, predictor.data
    task.start_scoring()
    rows, done = iter(rows), 0
    worst: list[tuple[float, int, str]] = []
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torchmetrics")  # a file need not hold every class
        while some := list(islice(rows, BATCH)):
            raw = [row for _, row, _ in some]
            task.score(raw, [truth for _, _, truth in some], data)
            for (place, row, truth), one in zip(some, task.answer(raw, data), strict=True):
                size, said = error_of(one, truth, data)
                write({"row": place} | said | one | {"error": size})
                done += 1
                if size:
                    push = heapq.heappushpop if len(worst) == SHOWN else heapq.heappush
                    push(worst, (size, -done, f"{place}: {sentence(said, one)}  {shortened(row)}"))
        metrics = task.scores()
    return metrics, done, [text for _, _, text in sorted(worst, reverse=True)]


def error_of(one: dict, truth: Any, data: DataModule) -> tuple[float, dict]:
    """Return how wrong an answer is, and the truth as the file has it.

    The error of a class is 0 if it is right, else the probability of the wrong class; that of values their largest
    distance.
    """
    if data.class_names is not None:
        name = data.class_names[truth]
        wrong = one["label"] != name
        return (one.get(f"probability_{one['label']}", 1.0) if wrong else 0.0), {"truth": name}
    values = dict(zip(data.target_names or [], truth, strict=True))
    return max(abs(one[name] - value) for name, value in values.items()), {f"true_{n}": v for n, v in values.items()}


def sentence(said: dict, one: dict) -> str:
    """Return "is negative, answered positive (0.98)" or "price is 21.0, answered 30.2"."""
    if "truth" in said:
        label = one["label"]
        return f"is {said['truth']}, answered {label} ({one.get(f'probability_{label}', 1.0):.2f})"
    return ", ".join(f"{name[5:]} is {value:g}, answered {one[name[5:]]:g}" for name, value in said.items())


def shortened(row: dict) -> str:
    """Return the beginning of a raw row."""
    text = next(iter(row.values())) if len(row) == 1 else ", ".join(f"{name}={value}" for name, value in row.items())
    text = " ".join(str(text).split())
    return text if len(text) <= 70 else text[:67] + "..."


def score_text(predictor: Predictor, file: Path) -> dict[str, float]:
    """Return the metrics of a model without labels, such as a language model, on a text."""
    predictor.task.start_scoring()
    for text in blocks(file):
        predictor.task.score([{"text": text}], None, predictor.data)
    return predictor.task.scores()


def blocks(file: Path) -> Iterator[str]:
    """Yield the lines of a text, about a million characters at once."""
    some, size = [], 0
    for place, row in read_rows(file):
        if "text" not in row:
            raise UserError(f'{place} has no column "text". It has: {", ".join(map(str, row))}')
        some.append(f"{row['text']}\n")
        size += len(some[-1])
        if size >= CHARACTERS:
            yield "".join(some)
            some, size = [], 0
    if some:
        yield "".join(some)
