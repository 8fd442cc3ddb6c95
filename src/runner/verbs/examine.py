"""What `runner evaluate` says of a run beyond the metrics of a split: slices, calibration, probes, neighbours.

Each prints a table and returns the files that it has written, which `keep_files` adds to the record of the run.

Shape letters: N rows, K classes.
"""

import csv
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from runner.datamodules.base import DataModule
from runner.errors import UserError, first_line
from runner.figures.charts import entitle
from runner.figures.reliability import reliability
from runner.files.rows import read_rows
from runner.inference.answered import (
    by_slice,
    chunks_of,
    column_of,
    probabilities_of,
    slices,
    truths_of,
)
from runner.inference.calibration import BINS, calibration, fitted_temperature, tempered
from runner.inference.inside import module_of, output_layer, said_by
from runner.inference.pipelines import features, place_of_features
from runner.inference.predictor import Predictor
from runner.inference.scoring import SHOWN, labelled, shortened
from runner.tasks.answered_rows import ERRORS_FILE, write_csv_rows
from runner.tasks.base import FILES, Task
from runner.tasks.linear_probe import probe_accuracy
from runner.tracking.find import RunInfo

PLACE = "evaluate"  # folder among the artifacts of a run


def on_device(task: Task) -> Task:
    """Move a trained model to the GPU if there is one."""
    return task.to("cuda" if torch.cuda.is_available() else "cpu")


def print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print cells of text under a title."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=True, highlight=False, markup=False).print(table)


def keep_files(files: list[Path], run: RunInfo, uri: str | None, outputs: Path) -> None:
    """Say where files are, and add them to the record of a run."""
    from mlflow.exceptions import MlflowException

    from runner.tracking.artifacts import client

    print("\n".join(f"written: {file}" for file in files))
    if run.status == "UNKNOWN":
        print("not in MLflow: its record has no such run")
        return
    tracker = client(uri, outputs)
    try:
        for file in files:
            tracker.log_artifact(run.id, str(file), PLACE)
    except (MlflowException, OSError) as error:
        raise UserError(f"the tracker did not take {files[0].name}: {first_line(error)}") from error


def slices_of_split(task: Task, data: DataModule, split: str, by: str, folder: Path) -> list[Path]:
    """Print the metrics of each slice of a split of a run's own data."""
    rows = data.raw(split)
    names = slices(column_of(data, split, rows, by))
    found = by_slice(on_device(task), data, rows, truths_of(data, split), names)
    print_slices(found, by, f"{split} split by {by}")
    path = folder / f"evaluate_{split}_by_{''.join(one if one.isalnum() else '_' for one in by)}.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        columns = [*dict.fromkeys(name for scores in found.values() for name in scores)]
        table = csv.writer(file)
        table.writerow([by, *columns])
        table.writerows([name, *(scores.get(each, "") for each in columns)] for name, scores in found.items())
    return [path]


def slices_in_file(predictor: Predictor, file: Path, label: str | None, by: str) -> None:
    """Print the metrics of each slice of a labelled file, by any of its columns."""
    targets = predictor.data.targets
    if targets is None:
        raise UserError("the data of this model has no labels to compare with: leave by= out")
    read = [(row, truth) for _, row, truth in labelled(file, predictor, targets, label)]
    whole = [row for _, row in read_rows(file)]
    if by not in whole[0]:
        raise UserError(f"by={by}: {file} has no such column. There are: {', '.join(map(str, whole[0]))}")
    names, truths = slices([row.get(by) for row in whole]), np.asarray([truth for _, truth in read])
    found = by_slice(predictor.task, predictor.data, [row for row, _ in read], truths, names)
    print_slices(found, by, f"{file} by {by}")


def print_slices(found: dict[str, dict[str, float]], by: str, title: str) -> None:
    """Print a row for each slice; what cannot be measured in it is left empty."""
    columns = [*dict.fromkeys(name for scores in found.values() for name in scores if name != "rows")]
    cells = [
        [name, f"{scores['rows']:.0f}", *(number_or_empty(scores.get(each, math.nan)) for each in columns)]
        for name, scores in found.items()
    ]
    print_table(title, [by, "rows", *columns], cells)


def number_or_empty(value: float) -> str:
    """Return a number with four digits after the point; nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.4f}"


def calibrated(task: Task, data: DataModule, folder: Path) -> list[Path]:
    """Print how well a classifier is calibrated on the test split, before and after dividing its logits."""
    lacks = [split for split in ("val", "test") if split not in data.sizes]
    if data.class_names is None or lacks:
        has = f"no {lacks[0]} split" if lacks else "no classes"
        raise UserError(f"calibrate=true needs classes, a validation split and a test split; this data has {has}")
    found = {split: probabilities_of(on_device(task), data, split) for split in ("val", "test")}
    truths = {split: np.asarray(data.targets_of(split)) for split in found}
    temperature = fitted_temperature(found["val"], truths["val"])
    sides = {"before": found["test"], "after": tempered(found["test"], temperature)}
    measured = {side: calibration(values, truths["test"]) for side, values in sides.items()}
    rows = [[name, *(f"{measured[side][name]:.4f}" for side in sides)] for name in measured["before"]]
    print_table(f"test split, temperature {temperature:.4f} fitted on validation", ["metric", *sides], rows)
    file, drawn = folder / "calibration.json", folder / "figures" / "reliability.png"
    file.write_text(json.dumps({"temperature": temperature, **measured}, indent=2) + "\n", encoding="utf-8")
    titles = {f"{side}: ECE {measured[side]['ece']:.3f}": values for side, values in sides.items()}
    panels = {name: (values.max(1), values.argmax(1) == truths["test"]) for name, values in titles.items()}
    figure = reliability(panels, BINS)
    entitle(figure, f"reliability of the test split\ntemperature {temperature:.4f}")
    drawn.parent.mkdir(exist_ok=True)
    figure.savefig(drawn)
    if "softmax_temperature" in task.at_use:
        print(f"use it: predict, evaluate or serve with task.softmax_temperature={temperature:.4f}")
    return [file, drawn]


def probed(task: Task, data: DataModule, name: str, folder: Path) -> list[Path]:
    """Print how well a linear classifier of what a module of the net says tells the classes, and write it."""
    if data.class_names is None:
        raise UserError("probe= tells classes apart, and this data has none")
    module = module_of(on_device(task).net, name)
    codes = {split: said_by(task, data, data.raw(split), module) for split in ("train", "test")}
    labels = {split: np.asarray(data.targets_of(split)) for split in codes}
    most_frequent = np.bincount(labels["train"]).argmax()
    found = {
        "module": name,
        "numbers": codes["train"].shape[1],
        "accuracy": probe_accuracy(codes, labels),
        "accuracy of the most frequent class": float((labels["test"] == most_frequent).mean()),
    }
    rows = [[key, f"{value:.4f}" if isinstance(value, float) else str(value)] for key, value in found.items()]
    print_table("a logistic regression of what a module says, test split", ["probe", "value"], rows)
    path = folder / f"probe_{name.replace('.', '_')}.json"
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return [path]


def near_mistakes(task: Task, data: DataModule, most: int, folder: Path) -> list[Path]:
    """Print for each of the largest errors of the test split the training examples most alike, and write them."""
    errors = folder / FILES / ERRORS_FILE
    if not errors.exists():
        raise UserError(f"neighbours= is about the largest errors of a run; this one has no {FILES}/{ERRORS_FILE}")
    with open(errors, newline="", encoding="utf-8") as file:
        worst = list(csv.DictReader(file))[:SHOWN]
    test = data.raw("test")
    wrong = [test[int(row["row"])] for row in worst]
    lines = []
    for row, raw, near in zip(worst, wrong, most_alike(task, data, wrong, most), strict=True):
        said = dict(list(row.items())[: list(row).index("error")])  # its number, truth and answer
        shown = ", ".join(f"{name} {value}" for name, value in said.items() if name != "row")
        print(f"test row {row['row']}: {shown}  {shortened(raw)}")
        for one in near:
            print(f"  {one.sentence}")
            found = {"train_row": one.number, "cosine": f"{one.cosine:.6g}", "train_truth": one.truth}
            lines.append(said | found | {"train_input": shortened(one.row)})
    path = folder / "neighbours_of_errors.csv"
    write_csv_rows(path, lines)
    return [path]


class Near(NamedTuple):
    """A training example, how alike it is (the cosine of what the net makes of both), and its truth."""

    number: int
    cosine: float
    truth: str
    row: dict

    @property
    def sentence(self) -> str:
        return f"{self.cosine:.3f}  train row {self.number}: {self.truth}  {shortened(self.row)}"


def most_alike(task: Task, data: DataModule, rows: list[dict], most: int) -> list[list[Near]]:
    """Return for each raw row the training examples most alike to the net, the nearest first."""
    train = data.raw("train")
    codes = [vectors_of(on_device(task), data, some) for some in (rows, train)]
    truths = data.targets_of("train")
    alike = codes[0] @ codes[1].T  # (rows, training rows)
    numbers = np.argsort(-alike, axis=1, kind="stable")[:, :most]
    return [
        [Near(int(n), float(similar[n]), shown_truth(data, truths[n]), train[n]) for n in some]
        for some, similar in zip(numbers, alike, strict=True)
    ]


def shown_truth(data: DataModule, truth: Any) -> str:
    """Return the truth of a row as it is shown."""
    if data.class_names:
        return data.class_names[int(truth)]
    return ", ".join(f"{value:g}" for value in np.atleast_1d(truth))


def vectors_of(task: Task, data: DataModule, rows: list[dict]) -> np.ndarray:
    """Return what the net makes of each raw row, of length 1, (N, E): its features, or what its last layer is given."""
    if place_of_features(task.net):
        found = [one for some in chunks_of(rows) for one in features(some, task, data)]
        table = np.array([list(one.values()) for one in found])
    else:
        table = said_by(task, data, rows, output_layer(task.net), given=True)
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
