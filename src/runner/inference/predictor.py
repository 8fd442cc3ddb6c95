"""Using a trained model on raw rows: from the command line, MLflow's scoring server or any Python program.

from runner.inference.predictor import Predictor

predictor = Predictor("outputs/textcnn-movie_reviews/2026-11-21_12-00-00/model")
print(list(predictor([{"text": "a fine film"}])))
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from runner.config import safety
from runner.errors import UserError
from runner.files.cells import category_of, number_of, text_of
from runner.inference.bundle import load_bundle
from runner.inference.pipelines import pipeline

BATCH = 256  # rows answered at once; an answer may depend on it in the last digit, so it is the same everywhere


class Predictor:
    """A trained model that takes raw rows (text, or the columns of a table) and returns rows of answers.

    Args:
        bundle: the folder `model/` of a finished run.
        device: where the net answers, such as cpu or cuda; None = the GPU if there is one.
        changed: settings of the objective that replace those it was trained with, such as {"temperature": 0.5}.
        question: what the model is asked, a name of `runner.inference.pipelines`; None = what its objective answers.
    """

    def __init__(
        self,
        bundle: Path | str,
        device: str | None = None,
        changed: Mapping[str, Any] | None = None,
        question: str | None = None,
    ):
        self.bundle = Path(bundle)
        self.task, self.data, self.cfg = load_bundle(self.bundle, changed)
        self.answer = pipeline(question, self.task) if question else self.task.answer
        self.task.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @property
    def columns(self) -> dict[str, str]:
        """Names and types of the raw columns a row needs."""
        return self.data.columns

    def __call__(self, rows: Iterable[dict]) -> Iterator[dict]:
        """Yield one row of answers for each raw row, in order.

        Raises:
            UserError: naming the row and the column that is missing, empty or not a number.
        """
        return self.answers((f"row {number}", row) for number, row in enumerate(rows, start=1))

    def answers(self, rows: Iterable[tuple[str, dict]], keep: bool = False) -> Iterator[dict]:
        """The same for pairs of the place of a row, in words, and the row; if asked, each answer follows its row."""
        clean = ((row, (place, cleaned(row, self.columns, place))) for place, row in rows)
        while some := list(islice(clean, BATCH)):
            with torch.inference_mode():
                found = self.ask([each for _, each in some])
            yield from (beside(row, answer) for (row, _), answer in zip(some, found, strict=True)) if keep else found

    def ask(self, rows: list[tuple[str, dict]]) -> list[dict]:
        """Return the answers to pairs of the place of a row, in words, and the cleaned row.

        Raises:
            UserError: an answer is not a finite number.
        """
        found = self.answer([row for _, row in rows], self.data)
        for (place, _), answer in zip(rows, found, strict=True):
            for name, value in answer.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise UserError(
                        f"{place}: the answer {name} is {value}. Is a number of this row far from those that the "
                        "model was trained on?"
                    )
        return found


def beside(row: dict, answer: dict) -> dict:
    """Return a raw row and its answer as one; a column that an answer is called too becomes input_COLUMN."""
    kept = {}
    for name, cell in row.items():
        while name in answer or name in kept:
            name = f"input_{name}"
        kept[name] = cell
    return kept | answer


def cleaned(row: dict, columns: dict[str, str], place: str) -> dict:
    """Return the row with exactly the columns the model needs, numbers as numbers.

    Raises:
        UserError: a column is missing, empty or not a number.
    """
    only_text = next(iter(columns)) if list(columns.values()) == ["string"] else None
    if only_text and only_text not in row and "text" in row:
        row = {only_text: row["text"]}
    clean: dict[str, Any] = {}
    for name, kind in columns.items():
        if name not in row:
            near = get_close_matches(name, [str(key) for key in row if key not in columns], n=1)
            raise UserError(
                f'{place} has no column "{name}"{f", only {near[0]}" if near else ""}. The model needs: '
                f"{', '.join(columns)}; received: {', '.join(map(str, row)) or 'nothing'}"
            )
        cell = row[name]
        if kind in ("double", "long"):
            clean[name] = number_of(cell, f'{place}, column "{name}"')
        elif kind == "string":
            clean[name] = text_of(cell, f'{place}, column "{name}"')
        elif kind == "category":
            clean[name] = category_of(cell)
        else:
            clean[name] = cell
    return clean


class PyfuncModel:
    """What `mlflow.pyfunc.load_model` calls: a DataFrame of raw columns in, a DataFrame of answers out."""

    def load_context(self, context: Any) -> None:
        bundle = Path(context.artifacts["run"])
        # Loading a model with MLflow runs the code that is stored with it; that is where its classes are.
        safety.own_folder(bundle.parent.parent / "code")
        self.predictor = Predictor(bundle)

    def predict(self, context: Any, model_input: Any, params: dict | None = None) -> Any:
        """Answer a table; an error in a row becomes MLflow's INVALID_PARAMETER_VALUE, code 400 of its server."""
        import pandas
        from mlflow.exceptions import MlflowException

        try:
            return pandas.DataFrame(list(self.predictor(model_input.to_dict("records"))))
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
