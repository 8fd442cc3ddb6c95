"""Estimators: fit and predict in one step, without epochs; scikit-learn and its like.

The net is any object with `fit(X, y)` and `predict(X)`; one with `predict_proba(X)` is a classifier. It keeps what it
has learnt in `state()`, plain containers and arrays, so that it is stored and loaded without running anybody's code.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from sklearn import metrics as score

from runner.figures import charts
from runner.tasks.answers import class_answers, class_columns
from runner.tasks.base import Task


class Estimator(Task):
    """Fit on the training split, score on validation and test with the metrics of the trained nets.

    Args:
        net: has `fit`, `predict`, `state` and `load_state`; and `predict_proba` if it classifies.
        optimizer: not used; an estimator fits in its own way.
        schedule: not used.
    """

    def __init__(self, net: Any, optimizer: Callable | None = None, schedule: Callable | None = None):
        super().__init__(net, monitor=None)
        self.class_names: list[str] | None = None
        self.drawn: dict[str, Any] = {}

    @property
    def classifies(self) -> bool:
        return hasattr(self.net, "predict_proba")

    def connect(self, data: Any) -> None:
        self.class_names = data.class_names

    def fit(self, trainer: Trainer, data: Any, checkpoint: str | None = None) -> None:
        self.net.fit(*data.examples("train"))

    def evaluate(self, trainer: Trainer, data: Any, split: str) -> dict[str, float]:
        rows, actual = data.examples(split)
        scores = self.class_scores if self.classifies else self.value_scores
        return {f"{split}/{name}": float(value) for name, value in scores(rows, np.asarray(actual)).items()}

    def class_scores(self, rows: Any, actual: np.ndarray) -> dict[str, float]:
        """Metrics of class numbers (N,); without examples of every class there is no AUROC and no average precision."""
        probabilities = self.net.predict_proba(rows)  # (N, K)
        classes = np.arange(probabilities.shape[1])
        predicted = probabilities.argmax(axis=1)
        confusion = score.confusion_matrix(actual, predicted, labels=classes)
        self.drawn = {"confusion_matrix": charts.confusion_matrix(confusion, self.class_names)}
        scores = {
            "loss": score.log_loss(actual, probabilities, labels=classes),
            "accuracy": score.accuracy_score(actual, predicted),
            "balanced_accuracy": score.recall_score(actual, predicted, average="macro", zero_division=0),
            "f1_macro": score.f1_score(actual, predicted, average="macro", zero_division=0),
        }
        if len(np.unique(actual)) == len(classes):
            right = probabilities[:, 1] if len(classes) == 2 else probabilities
            scores["auroc"] = score.roc_auc_score(actual, right, multi_class="ovr")
            scores["average_precision"] = score.average_precision_score(actual, right)
        return scores

    def value_scores(self, rows: Any, actual: np.ndarray) -> dict[str, float]:
        """Metrics of real values (N, D) in the data's own units."""
        predicted = np.asarray(self.net.predict(rows)).reshape(actual.shape)
        self.drawn = {"predicted_against_actual": charts.predicted_against_actual(actual, predicted)}
        mse = score.mean_squared_error(actual, predicted)
        return {
            "loss": mse,
            "mse": mse,
            "rmse": mse**0.5,
            "mae": score.mean_absolute_error(actual, predicted),
            "r2": score.r2_score(actual, predicted),
        }

    def raw_inputs(self, rows: list[dict], data: Any) -> tuple:
        """Estimators take the rows as `data.examples` gives them: texts, or a matrix of features."""
        return (data.features(rows),)

    def predict(self, inputs: tuple, data: Any) -> list[dict]:
        """One row an example: label and class probabilities, or the predicted values."""
        (rows,) = inputs
        if not self.classifies:
            values = np.asarray(self.net.predict(rows)).reshape(len(rows), -1)  # (N, D)
            return [dict(zip(data.target_names, row, strict=True)) for row in values.tolist()]
        probabilities = np.asarray(self.net.predict_proba(rows))  # (N, K)
        return class_answers(data.class_names, probabilities.argmax(axis=1).tolist(), probabilities.tolist())

    def answer_columns(self, data: Any) -> dict[str, str]:
        if not self.classifies:
            return {name: "double" for name in data.target_names}
        return class_columns(data.class_names)

    def figures(self) -> dict[str, Any]:
        return self.drawn

    def save_weights(self, folder: Path) -> None:
        torch.save(self.net.state(), folder / "estimator.pt")

    def load_weights(self, folder: Path) -> None:
        self.net.load_state(torch.load(folder / "estimator.pt", weights_only=True))
