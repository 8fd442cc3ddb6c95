"""How good a trained model is on a labelled file: metrics, and the rows with the largest errors."""

import heapq
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from runner.datamodules.parts.targets import Targets
from runner.errors import UserError
from runner.files.rows import read_rows
from runner.files.tables import no_column
from runner.inference.output import writer
from runner.inference.predictor import BATCH, Predictor, cleaned
from runner.text.tokenizers import blocks

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
        output: a file that gets every row with its answer and error; None = none.
    """
    targets = predictor.data.targets
    if targets is None:
        if [*predictor.columns.values()] != ["string"]:
            raise UserError("the data of this model has no labels to compare with: leave input= out")
        return score_text(predictor, file), 0, []
    with writer(output) as write:
        return score(predictor, targets, labelled(file, predictor, targets, label), write)


def labelled(file: Path, predictor: Predictor, targets: Targets, label: str | None) -> Iterator[tuple[str, dict, Any]]:
    """Yield (place, row for the net, truth) of every row of a file.

    Raises:
        UserError: naming the file, line and column that cannot be read.
    """
    usual = predictor.cfg.data.get("label")  # of several columns the targets know the names
    columns = targets.columns(label or (usual if isinstance(usual, str) else None))
    for place, row in read_rows(file):
        for column in columns:
            if column not in row:
                raise no_column(place, column, row, advice="Name the column with the truth: label=COLUMN")
        truth = targets.read({column: row[column] for column in columns}, place)
        yield place, cleaned(row, predictor.columns, place), truth


def score(
    predictor: Predictor, targets: Targets, rows: Iterable[tuple[str, dict, Any]], write: Callable[[dict], None]
) -> tuple[dict[str, float], int, list[str]]:
    """Return (metrics, number of rows, the rows with the largest errors in words); pass every row to `write`."""
    task, data = predictor.task, predictor.data
    task.start_scoring()
    rows, done = iter(rows), 0
    worst: list[tuple[float, int, str]] = []
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torchmetrics")  # a file need not hold every class
        while some := list(islice(rows, BATCH)):
            raw = [row for _, row, _ in some]
            answers = predictor.ask([(place, row) for place, row, _ in some])
            task.score(raw, [truth for _, _, truth in some], data)
            for (place, row, truth), one in zip(some, answers, strict=True):
                size, said = targets.error(one, truth)
                write({"row": place} | said | one | {"error": size})
                done += 1
                if size:
                    push = heapq.heappushpop if len(worst) == SHOWN else heapq.heappush
                    push(worst, (size, -done, f"{place}: {targets.sentence(one, truth)}  {shortened(row)}"))
        metrics = task.scores()
    return metrics, done, [text for _, _, text in sorted(worst, reverse=True)]


def shortened(row: dict) -> str:
    """Return the beginning of a raw row."""
    text = next(iter(row.values())) if len(row) == 1 else ", ".join(f"{name}={value}" for name, value in row.items())
    text = " ".join(str(text).split())
    return text if len(text) <= 70 else text[:67] + "..."


def score_text(predictor: Predictor, file: Path) -> dict[str, float]:
    """Return the metrics of a model without labels, such as a language model, on a text."""
    predictor.task.start_scoring()
    for text in blocks(lines_of(file), CHARACTERS):
        predictor.task.score([{"text": text}], None, predictor.data)
    return predictor.task.scores()


def lines_of(file: Path) -> Iterator[str]:
    """Yield the lines of a text."""
    for place, row in read_rows(file):
        if "text" not in row:
            raise no_column(place, "text", row)
        yield f"{row['text']}\n"
