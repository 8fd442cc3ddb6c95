"""Using a trained model on raw rows: for the command line, for MLflow's scoring server, for anybody's Python."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from runner.bundle import load_bundle


class Predictor:
    """A trained model that takes raw rows (text, or the columns of a table) and returns rows of answers.

    Args:
        bundle: the folder `model/` of a finished run.
    """

    def __init__(self, bundle: Path):
        self.task, self.data, self.cfg = load_bundle(Path(bundle))

    @property
    def columns(self) -> dict[str, str]:
        """Names and types of the raw columns a row needs."""
        return self.data.columns

    def __call__(self, rows: Iterable[dict], batch_size: int = 256) -> Iterator[dict]:
        """Yield one row of answers for each raw row, in order."""
        rows = iter(rows)
        while some := list(islice(rows, batch_size)):
            with torch.inference_mode():
                yield from self.task.predict(self.task.raw_inputs(some, self.data), self.data)


class PyfuncModel:
    """What `mlflow.pyfunc.load_model` calls: a DataFrame of raw columns in, a DataFrame of answers out."""

    def load_context(self, context: Any) -> None:
        self.predictor = Predictor(Path(context.artifacts["run"]))

    def predict(self, context: Any, model_input: Any, params: dict | None = None) -> Any:
        import pandas

        return pandas.DataFrame(list(self.predictor(model_input.to_dict("records"))))
