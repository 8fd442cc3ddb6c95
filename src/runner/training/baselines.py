"""Other models for comparison: fitted on the same training rows, scored and drawn on the same test rows."""

from pathlib import Path
from typing import Any, cast

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer

from runner.errors import UserError
from runner.figures import tables
from runner.tasks.base import Task


class Baselines(Callback):
    """Scores estimators of real values next to the trained net: `test/NAME_mse` and `figures/side_by_side.png`.

    Args:
        models: estimators (`fit` and `predict`) by name; they get the inputs as the net sees them, and the targets
            in the data's own units.
        raw: estimators by name that get the columns as they are in the source, not standardised.
    """

    def __init__(self, models: dict[str, Any], raw: dict[str, Any] | None = None):
        self.models = dict(models)
        self.raw = dict(raw or {})
        both = self.models.keys() & self.raw.keys()
        if both:
            raise UserError(f"callbacks.baselines: {', '.join(sorted(both))} is in models and in raw.")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit, score and draw, after the test split has been evaluated."""
        task = cast(Task, pl_module)
        data = task.data_module
        if data.target_names is None or len(data.target_names) != 1:
            raise UserError("callbacks.baselines compares predictions of one real value; this data has another target.")
        actual = np.asarray(data.examples("test")[1], dtype=np.float64)  # (N,)
        answers = task.answer(data.raw("test", len(actual)), data)
        predicted = {type(task.net).__name__: np.array([row[data.target_names[0]] for row in answers])}
        for name, model in self.models.items():
            predicted[name] = np.ravel(model.fit(*data.examples("train")).predict(data.examples("test")[0]))
        for name, model in self.raw.items():
            train, test = (
                np.array([list(row.values()) for row in data.raw(split, data.sizes[split])], dtype=np.float64)
                for split in ("train", "test")
            )
            predicted[name] = np.ravel(model.fit(train, data.examples("train")[1]).predict(test))
        errors = {name: float(((values - actual) ** 2).mean()) for name, values in predicted.items()}
        task.log_dict(
            {f"test/{name}_mse": errors[name] for name in (*self.models, *self.raw)}, logger=False, rank_zero_only=True
        )
        if trainer.is_global_zero:
            folder = Path(trainer.default_root_dir) / "figures"
            folder.mkdir(exist_ok=True)
            tables.panels_of_models(actual, predicted).savefig(folder / "side_by_side.png")
