"""Estimators: fit and predict in one step, without epochs, as in scikit-learn.

The net is any object with `fit(X, y)` and `predict(X)`; one with `predict_proba(X)` is a classifier. Its fitted
values are in `state()`, plain containers and arrays, so that it is stored and loaded without running foreign code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pytorch_lightning import Trainer
from sklearn import metrics as score

from runner.datamodules.base import DataModule
from runner.figures import charts, tables
from runner.tasks.answered_rows import write_tested
from runner.tasks.answers import class_answers, class_columns, class_names, value_names
from runner.tasks.base import Task


class Estimator(Task):
    """Fit on the training split, score on validation and test with the metrics of the trained nets.

    Args:
        net: has `fit`, `predict`, `state` and `load_state`; and `predict_proba` if it classifies.
    """

    by_gradient = False
    monitor = None
    asked: list[dict]  # labelled rows of `score`
    truths: list  # and their true labels
    data: DataModule | None = None

    def __init__(self, net: Any):
        super().__init__(net)
        self.class_names: list[str] | None = None
        self.unit = ""  # of the targets
        self.drawn: dict[str, Any] = {}
        self.found: np.ndarray | None = None  # row number, error and answer of each row judged last, (N, 2 + D)

    @property
    def classifies(self) -> bool:
        return hasattr(self.net, "predict_proba")

    def connect(self, data: DataModule) -> None:
        self.class_names, self.unit = data.class_names, data.unit

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Any:
        """Return raw examples and targets that depend on them."""
        numbers = np.random.default_rng(0)
        rows *= 10  # a fit to too few examples shows nothing
        classes = np.arange(rows) % (facts.get("num_classes") or 2)
        if "vocab_size" in read:
            words = np.array(["film", "plot", "actor", "scene", "music"])
            texts = [" ".join([f"word{kind}", *numbers.choice(words, size=4)]) for kind in classes]
            values = np.repeat(classes[:, None].astype(float), facts.get("num_targets") or 1, axis=1)
            return texts, values if "num_targets" in read else classes
        features = numbers.random((rows, facts["in_features"]))
        if "num_targets" in read:
            return features, features @ numbers.normal(size=(facts["in_features"], facts["num_targets"])) + 1
        features[np.arange(rows), classes % facts["in_features"]] += 2
        return features, classes

    def fit(self, trainer: Trainer, data: DataModule, checkpoint: str | None = None) -> None:
        self.net.fit(*data.examples("train"))

    def evaluate(self, trainer: Trainer, data: DataModule, split: str) -> dict[str, float]:
        return {f"{split}/{name}": value for name, value in self.judged(*data.examples(split)).items()}

    def judged(self, examples: Any, actual: Any) -> dict[str, float]:
        """Return the metrics of examples in the form scikit-learn takes."""
        scores = self.class_scores if self.classifies else self.value_scores
        return {name: float(value) for name, value in scores(examples, np.asarray(actual)).items()}

    def start_scoring(self) -> None:
        self.asked, self.truths = [], []

    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Keep labelled rows: an estimator is given all of them at once."""
        self.data = data
        self.asked += rows
        self.truths += [] if truths is None else list(truths)

    def scores(self) -> dict[str, float]:
        assert self.data is not None, "score() comes first"
        truths = np.asarray(self.truths)
        single = truths.ndim == 2 and truths.shape[1] == 1
        return self.judged(self.data.plain_features(self.asked), truths[:, 0] if single else truths)

    def class_scores(self, rows: Any, actual: np.ndarray) -> dict[str, float]:
        """Metrics of class numbers (N,); without examples of every class AUROC and average precision are left out."""
        probabilities = self.net.predict_proba(rows)  # (N, K)
        classes = np.arange(probabilities.shape[1])
        predicted = probabilities.argmax(axis=1)
        confusion = score.confusion_matrix(actual, predicted, labels=classes)
        self.drawn = {"confusion_matrix": charts.confusion_matrix(confusion, self.class_names)}
        wrong = np.where(predicted == actual, 0.0, probabilities.max(axis=1))
        self.found = np.column_stack([np.arange(len(actual)), wrong, predicted])
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
        self.drawn = {"predicted_against_actual": tables.predicted_against_actual(actual, predicted, self.unit)}
        apart = np.abs(predicted - actual).reshape(len(actual), -1).max(axis=1)
        self.found = np.column_stack([np.arange(len(actual)), apart, predicted])
        mse = score.mean_squared_error(actual, predicted)
        return {
            "loss": mse,
            "mse": mse,
            "rmse": mse**0.5,
            "mae": score.mean_absolute_error(actual, predicted),
            "r2": score.r2_score(actual, predicted),
        }

    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: label and class probabilities, or the predicted values."""
        examples = data.plain_features(rows)  # texts, or a matrix (N, F)
        if not self.classifies:
            values = np.asarray(self.net.predict(examples)).reshape(len(rows), -1)  # (N, D)
            return [dict(zip(self.answer_columns(data), row, strict=True)) for row in values.tolist()]
        probabilities = np.asarray(self.net.predict_proba(examples))  # (N, K)
        return class_answers(class_names(data), probabilities.argmax(axis=1).tolist(), probabilities.tolist())

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        if not self.classifies:
            return dict.fromkeys(value_names(data), "double")
        return class_columns(class_names(data))

    def write_files(self, folder: Path, data: DataModule) -> None:
        write_tested(self.found, folder, data)

    def figures(self) -> dict[str, Figure]:
        return self.drawn
