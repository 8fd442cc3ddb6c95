"""Stopping hopeless jobs early: after every validation the metric goes to Optuna, which compares it with other jobs."""

import json
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from runner.training.interrupt import Pruned

TRIAL_FILE = "trial.json"  # in the folder of a job that may be pruned: where its trial is


class Prune(Callback):
    """Reports a validation metric and ends the job when Optuna says so.

    Args:
        trial: Optuna's trial of this job, see `runner.training.trial`.
        metric: the validation metric that is compared.
    """

    def __init__(self, trial: Any, metric: str):
        self.trial = trial
        self.metric = metric
        self.validations = 0

    def state_dict(self) -> dict:
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: dict) -> None:
        self.validations = state_dict["validations"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or self.metric not in trainer.callback_metrics:
            return
        value = float(trainer.callback_metrics[self.metric])
        hopeless = trainer.is_global_zero and self.trial.is_hopeless(self.validations, value)  # Optuna counts from 0
        self.validations += 1
        if trainer.strategy.broadcast(hopeless):
            raise Pruned(f"pruned after validation {self.validations} with {self.metric} {value:.4g}")


def pruning(folder: Path) -> list[Callback]:
    """Return the callback of a job that may be pruned; an empty list for any other."""
    if not (folder / TRIAL_FILE).exists():
        return []
    from runner.training.trial import RunningTrial

    about = json.loads((folder / TRIAL_FILE).read_text(encoding="utf-8"))
    trial = RunningTrial(about)
    return [Prune(trial, about["metric"])] if trial.open else []
