"""What a net said of each row of a split: kept while the split is evaluated, written after the test.

`files/test_rows.csv` has every test row with its truth, its answer and how wrong that is, which is what two runs are
compared by; `files/largest_errors.csv` has the rows with the largest errors, with what the net was given.

Shape letters: B batch, N rows, D targets.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed import get_rank, get_world_size, is_initialized
from torchmetrics import CatMetric

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Ordered
from runner.datamodules.parts.targets import Classes, Targets

ROWS_FILE, ERRORS_FILE = "test_rows.csv", "largest_errors.csv"
MOST_ERRORS = 100  # rows of the second file


class AnsweredRows(nn.Module):
    """Answer and error of each row of the split that is evaluated, of all processes.

    Attributes:
        found: row number, error and answer of each row (N, 2 + D), in the order of the rows, once it is closed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept = CatMetric()
        self.reset()

    def reset(self) -> None:
        self.kept.reset()
        self.seen = 0
        self.found: np.ndarray | None = None

    def add(self, error: Tensor, answer: Tensor) -> None:
        """Keep a batch, in the order of the loader.

        Args:
            error: how wrong each answer is, 0 = right, (B,).
            answer: class numbers (B,) or values (B, D).
        """
        rank, processes = (get_rank(), get_world_size()) if is_initialized() else (0, 1)
        number = torch.arange(self.seen, self.seen + len(error), device=error.device) * processes + rank
        self.seen += len(error)
        answer = answer.reshape(len(error), -1)
        self.kept.update(torch.cat([number[:, None], error[:, None], answer], dim=1).float().flatten())
        self.width = 2 + answer.size(1)

    def close(self) -> None:
        """Bring together what all processes have kept."""
        if self.seen:
            found = self.kept.compute().view(-1, self.width).cpu().numpy()
            self.found = found[np.argsort(found[:, 0], kind="stable")]


def class_errors(probabilities: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability (B,) of each wrong class that is answered, 0 if the class is right, and the classes (B,).

    Args:
        probabilities: of the classes, (B, K).
        target: class numbers, (B,).
    """
    largest, answered = probabilities.max(dim=1)
    return largest.masked_fill(answered == target, 0.0), answered


def write_tested(found: np.ndarray | None, folder: Path, data: DataModule) -> None:
    """Write both files; neither if there was no test split, or if its rows are not known one by one.

    Args:
        found: what `AnsweredRows.found` is after the test.
        folder: where they go.
        data: has the test split.
    """
    prepared, targets = data.prepared, data.targets
    if found is None or prepared is None or targets is None or data.test is None or prepared.rows is None:
        return
    if isinstance(data.test, Ordered) or len(found) > len(data.test):
        return
    truths, order = data.targets_of("test"), found[:, 0].astype(int)
    lines = [
        {"row": row, **truth_and_answer(targets, truths[row], values), "error": f"{error:.6g}"}
        for row, (error, *values) in zip(order, found[:, 1:].tolist(), strict=True)
    ]
    write_csv_rows(folder / ROWS_FILE, lines)
    worst = [place for place in np.argsort(-found[:, 1], kind="stable")[:MOST_ERRORS] if found[place, 1] > 0]
    raw = data.raw("test", 1 + max((order[place] for place in worst), default=-1))
    write_csv_rows(
        folder / ERRORS_FILE, [lines[place] | inputs_shown(raw[order[place]], lines[place]) for place in worst]
    )


def inputs_shown(row: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """Return what a net was given in a raw row, without arrays such as images, under names not yet in `line`."""
    cells = {name: cell for name, cell in row.items() if np.ndim(cell) == 0}
    return {f"input_{name}" if name in line else name: cell for name, cell in cells.items()}


def truth_and_answer(targets: Targets, truth: Any, values: list[float]) -> dict[str, Any]:
    """Return truth and answer of a row as columns with the names that `predict` and `evaluate` use too."""
    if isinstance(targets, Classes):
        return {"truth": targets.names[int(truth)], "label": targets.names[int(values[0])]}
    true = {f"true_{name}": f"{value:.6g}" for name, value in zip(targets.names, np.atleast_1d(truth), strict=True)}
    return true | {name: f"{value:.6g}" for name, value in zip(targets.names, values, strict=True)}


def write_csv_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows with the same columns as a CSV file; no file if there are none."""
    if rows := list(rows):
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
