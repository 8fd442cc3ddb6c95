"""`runner evaluate`: the metrics of a finished run, computed again, or those of its model on a labelled file."""

import heapq
import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from runner.config import safety
from runner.datamodules.parts.inputs import Classes
from runner.errors import UserError, closest
from runner.files.rows import read_rows
from runner.inference.bundle import load_bundle, preprocessing
from runner.inference.predictor import BATCH, Predictor, cleaned, number_of
from runner.tracking.artifacts import model_folder
from runner.tracking.tracker import find_run
from runner.training.callbacks import ShowProgress
from runner.training.quiet import silence
from runner.verbs.predict import writer

SHOWN = 10  # rows with the largest errors
TOLERANCE = 1e-4  # relative; another machine adds up in another order
CHARACTERS = 1 << 20  # of a text that are scored at once


def evaluate(settings: dict[str, str | None], outputs: Path) -> int:
    """Score the model of a run on a split of its own data or on a labelled file.

    Args:
        settings: run, split, input, output, label, allow and tracking.uri of the command line.
        outputs: the folder with the runs and their database.

    Returns:
        exit code 0, or 1 if a metric of the run's own data differs from the one the run wrote.
    """
    silence()
    safety.allow(settings["allow"])
    run = find_run(settings["tracking.uri"], outputs, settings["run"], status="FINISHED")
    if settings["input"]:
        bundle = model_folder(run, settings["tracking.uri"], outputs)
        return on_file(bundle, settings["input"], settings["label"], settings["output"])
    for name in ("output", "label"):
        if settings[name]:
            raise UserError(f"{name}= goes with input=FILE")
    if run.folder is None or not run.folder.is_dir():
        raise UserError(f"the folder of run {run.id} is not on this machine: {run.folder}. Give it a file: input=FILE")
    return on_split(run.folder, settings["split"])


# The run's own data.


def on_split(folder: Path, split: str) -> int:
    """Score "val" or "test" and print the metrics beside those the run wrote."""
    if split not in ("val", "test"):
        raise UserError(f"split is val or test, received {split!r}")
    task, data, cfg = load_bundle(folder / "model")
    data.setup()
    if data.digest != preprocessing(folder / "model")["digest"]:
        raise UserError(f"the data of this run has changed since: {data.source}. Train again, or type input=FILE")
    lightning.seed_everything(cfg.seed, verbose=False)
    metrics = task.evaluate(scorer(cfg), data, split)
    written = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    table = Table("metric", "now", "in the run", title=str(folder), title_justify="left")
    for name, value in sorted(metrics.items()):
        table.add_row(name, f"{value:.6f}", f"{written[name]:.6f}" if name in written else "")
    Console(soft_wrap=True).print(table)
    (folder / f"evaluate_{split}.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    differing = [name for name, value in metrics.items() if name in written and not same(value, written[name])]
    if differing:
        print(f"not what the run wrote: {', '.join(differing)}")
    return 1 if differing else 0


def same(one: float, other: float) -> bool:
    """Whether two values of a metric are equal but for the order of additions."""
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-6) or (math.isnan(one) and math.isnan(other))


def scorer(cfg: DictConfig) -> lightning.Trainer:
    """Return the trainer of the run, for scoring on one device, and on another kind of device if it has to be."""
    flags = OmegaConf.to_container(cfg.trainer, resolve=True)
    flags |= {"gradient_clip_val": None, "devices": 1, "strategy": "auto", "num_nodes": 1, "profiler": None}
    if flags.get("accelerator") in ("gpu", "cuda") and not torch.cuda.is_available():
        flags["accelerator"] = "auto"
    return instantiate(
        flags,
        logger=False,
        callbacks=[ShowProgress()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        _convert_="all",
    )


# A labelled file.


def on_file(bundle: Path, file: str, label: str | None, output: str | None) -> int:
    """Score the rows of a file, batch by batch, and print the metrics and the rows with the largest errors."""
    predictor = Predictor(bundle)
    task, data = predictor.task, predictor.data
    if data.targets is None:
        if not hasattr(data, "context_len"):
            raise UserError(f"{type(task).__name__} has no labels to compare with: use split=val or split=test")
        metrics, rows, worst = text_metrics(predictor, file), 0, []
    else:
        columns = label_columns(predictor, label)
        with writer(output) as write:
            metrics, rows, worst = score(predictor, labelled(file, predictor, columns), write)
    table = Table("metric", "value", title=f"{file}{f', {rows} rows' if rows else ''}", title_justify="left")
    for name, value in sorted(metrics.items()):
        table.add_row(name, f"{value:.6f}")
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(table)
    if worst:
        console.print("the largest errors:")
        for line in worst:
            console.print(f"  {line}")
    return 0


def label_columns(predictor: Predictor, label: str | None) -> list[str]:
    """Return the columns with the truth: what the user says, or what they were called in training."""
    data = predictor.data
    if isinstance(data.targets, Classes):
        return [label or predictor.cfg.data.get("label") or "label"]
    if label and len(data.target_names) > 1:
        raise UserError(f"this model answers several values: the columns are {', '.join(data.target_names)}")
    return [label] if label else list(data.target_names)


def labelled(file: str, predictor: Predictor, columns: list[str]) -> Iterator[tuple[str, dict, Any]]:
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
    raise UserError(f'{place}: "{text}" is no class of this model.{closest(text, names)} Classes: {known}')


def score(
    predictor: Predictor, rows: Iterable[tuple[str, dict, Any]], write: Callable[[dict], None]
) -> tuple[dict[str, float], int, list[str]]:
    """Return (metrics, number of rows, the rows with the largest errors in words); hand every row to `write`."""
    task, data = predictor.task, predictor.data
    task.start_scoring()
    rows, done, worst = iter(rows), 0, []
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torchmetrics")  # a file need not hold every class
        while some := list(islice(rows, BATCH)):
            raw = [row for _, row, _ in some]
            truths = np.array([truth for _, _, truth in some])
            task.score(raw, truths, data)
            for (place, row, truth), one in zip(some, task.answer(raw, data), strict=True):
                size, said = error_of(one, truth, data)
                write({"row": place} | said | one | {"error": size})
                done += 1
                if size:
                    push = heapq.heappushpop if len(worst) == SHOWN else heapq.heappush
                    push(worst, (size, -done, f"{place}: {sentence(said, one)}  {shortened(row)}"))
        metrics = task.scores()
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


def text_metrics(predictor: Predictor, file: str) -> dict[str, float]:
    """Return the metrics of a language model on a text, scored in windows as in training."""
    predictor.task.start_scoring()
    for text in blocks(row["text"] for _, row in read_rows(file)):
        predictor.task.score([{"text": text}], None, predictor.data)
    return predictor.task.scores()


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
