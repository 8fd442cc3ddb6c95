"""How good a trained model is on a labelled file: metrics, and the rows with the largest errors."""

import heapq
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runner.datamodules.parts.batches import Loader, StreamSplit
from runner.datamodules.parts.inputs import Classes
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
    task, data = predictor.task, predictor.data
    if data.targets is None:
        if not hasattr(data, "context_len"):
            raise UserError(f"{type(task).__name__} has no labels to compare with: use split=val or split=test")
        return text_metrics(predictor, file), 0, []
    columns = label_columns(predictor, label)
    with writer(output) as write:
        return score(predictor, labelled(file, predictor, columns), write)


def label_columns(predictor: Predictor, label: str | None) -> list[str]:
    """Return the columns with the truth: what the user says, or what they were called in training."""
    data = predictor.data
    if isinstance(data.targets, Classes):
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
        if isinstance(predictor.data.targets, Classes):
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
    meter = NetMeter(task, data) if isinstance(task.net, torch.nn.Module) else EstimatorMeter(task, data)
    rows, done = iter(rows), 0
    worst: list[tuple[float, int, str]] = []
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torchmetrics")  # a file need not hold every class
        while some := list(islice(rows, BATCH)):
            raw = [row for _, row, _ in some]
            truths = np.array([truth for _, _, truth in some])
            inputs = task.raw_inputs(raw, data)
            meter.add(inputs, truths)
            for (place, row, truth), one in zip(some, task.predict(inputs, data), strict=True):
                size, said = error_of(one, truth, data)
                write({"row": place} | said | one | {"error": size})
                done += 1
                if size:
                    push = heapq.heappushpop if len(worst) == SHOWN else heapq.heappush
                    push(worst, (size, -done, f"{place}: {sentence(said, one)}  {shortened(row)}"))
        metrics = meter.metrics()
    return metrics, done, [text for _, _, text in sorted(worst, reverse=True)]


def error_of(one: dict, truth: Any, data: Any) -> tuple[float, dict]:
    """Return how wrong an answer is, and the truth as the file has it.

    The error of a class is 0 if it is right, else the probability of the wrong class; that of values their largest
    distance.
    """
    if isinstance(data.targets, Classes):
        name = data.class_names[truth]
        wrong = one["label"] != name
        return (one.get(f"probability_{one['label']}", 1.0) if wrong else 0.0), {"truth": name}
    said = {f"true_{name}": value for name, value in zip(data.target_names, truth, strict=True)}
    return max(abs(one[name] - value) for name, value in zip(data.target_names, truth, strict=True)), said


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


class NetMeter:
    """The metrics of a trained net, gathered batch by batch.

    Args:
        task: the objective with its net.
        data: encodes the truth.
    """

    def __init__(self, task: Any, data: Any):
        self.task, self.data = task, data
        task.on_validation_epoch_start()

    def add(self, inputs: tuple, truths: np.ndarray) -> None:
        """Score one batch."""
        batch = (*inputs, self.data.targets.encode(truths).to(self.task.device))
        self.task.evaluation_means.add(self.task.evaluation_step(batch), self.task.size(batch))
        self.task.evaluation_means.close()  # sums take no memory

    def metrics(self) -> dict[str, float]:
        return self.task.evaluation_metrics()


class EstimatorMeter:
    """The metrics of an estimator, which takes all rows at once.

    Args:
        task: the objective with its estimator.
        data: not used.
    """

    def __init__(self, task: Any, data: Any):
        self.task = task
        self.inputs: list = []
        self.truths: list[np.ndarray] = []

    def add(self, inputs: tuple, truths: np.ndarray) -> None:
        """Keep one batch."""
        self.inputs.append(inputs[0])
        self.truths.append(truths)

    def examples(self, split: str) -> tuple[Any, np.ndarray]:
        """Return all that was kept, as `DataModule.examples` does."""
        rows = [row for batch in self.inputs for row in batch]
        rows = rows if isinstance(rows[0], str) else np.stack(rows)
        truths = np.concatenate(self.truths)
        return rows, truths[:, 0] if truths.ndim == 2 and truths.shape[1] == 1 else truths

    def metrics(self) -> dict[str, float]:
        return {name.split("/", 1)[1]: value for name, value in self.task.evaluate(None, self, "test").items()}


def text_metrics(predictor: Predictor, file: Path) -> dict[str, float]:
    """Return the metrics of a language model on a text, scored in windows as in training."""
    task, data = predictor.task, predictor.data
    task.on_validation_epoch_start()
    seen = 0
    with torch.inference_mode():
        for text in blocks(row["text"] for _, row in read_rows(file)):
            tokens = data.encode([{"text": text}])[0][0].numpy()  # (T,)
            for batch in Loader(StreamSplit(tokens, data.context_len), data.eval_batch_size):
                batch = tuple(part.to(task.device) for part in batch)
                task.evaluation_means.add(task.evaluation_step(batch), task.size(batch))
                seen += 1
            task.evaluation_means.close()
    if not seen:
        raise UserError(f"{file} is shorter than one window of {data.context_len} characters and the next one")
    return task.evaluation_metrics()


def blocks(texts: Iterable[str]) -> Iterator[str]:
    """Join lines to blocks of about a million characters."""
    some, size = [], 0
    for text in texts:
        some.append(text + "\n")
        size += len(text) + 1
        if size >= CHARACTERS:
            yield "".join(some)
            some, size = [], 0
    if some:
        yield "".join(some)
