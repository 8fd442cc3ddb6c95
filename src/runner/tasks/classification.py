"""Classification: one class for each example.

The net returns logits (B, K); the target holds class numbers, int64 (B,).
"""

import logging
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from runner.config.functions import DottedPath
from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.figures import charts
from runner.figures.images import Mistakes, image_figures
from runner.tasks.answered_rows import AnsweredRows, class_errors, write_tested
from runner.tasks.answers import class_answers, class_columns, class_names
from runner.tasks.attended import attended_words
from runner.tasks.base import Task
from runner.tasks.imbalance import AveragePrecision, Remedy, Threshold, prepare, remedies, weights_by_hand
from runner.tasks.losses import ClassLoss, class_loss, mean_loss, weighted_loss
from runner.tasks.means import Scalars
from runner.tasks.ordered import ClassDistance
from runner.tasks.own_metrics import add_metrics

log = logging.getLogger(__name__)


class Classification(Task):
    """Loss of the target class; on validation and test accuracy, balanced accuracy, macro F1, AUROC, average precision.

    Args:
        net: returns logits (B, K).
        num_outputs: number of classes K.
        loss: the loss function: a name of `runner.tasks.losses`, the dotted path of a function, or a node with
            `_target_`; ordinal, of ordered classes, adds the metric mae, the mean distance in classes.
        label_smoothing: share of the target probability spread over all classes, in [0, 1]; of cross_entropy.
        imbalance: what training does about rare classes: output bias, class weights, oversampling, the focal loss, or a
            list of them (see `runner.tasks.imbalance`).
        class_weights: the loss of an example is multiplied by the weight of its class, in training and in val/loss: one
            for each class in the order of their numbers, or {class: weight}, where those that are left out weigh 1.
        threshold: how one of two classes is chosen: by the larger logit ("argmax"), or by the probability with the
            best balanced accuracy on the validation split ("validation").
        metrics: further ones, {name: node with `_target_`}; they are given probabilities (B, K) and classes (B,).
        softmax_temperature: what logits are divided by before probabilities are made of them, above 0; of a trained
            net `evaluate calibrate=true` says which one fits.
    """

    asked_as = ("classify",)
    at_use = ("softmax_temperature",)
    class_weights: Tensor | None  # (K,)

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        loss: ClassLoss | DottedPath = "cross_entropy",
        label_smoothing: float = 0.0,
        imbalance: Remedy | list[Remedy] = "none",
        class_weights: list[float] | Mapping[str, float] | None = None,
        threshold: Literal["argmax", "validation"] = "argmax",
        metrics: Mapping[str, Any] | None = None,
        softmax_temperature: float = 1.0,
    ):
        super().__init__(net)
        if num_outputs < 2:
            raise UserError(f"classification needs at least 2 classes, received data.num_classes={num_outputs}")
        if threshold not in ("argmax", "validation"):
            raise UserError(f"task.threshold is argmax or validation, received {threshold!r}")
        if threshold == "validation" and num_outputs != 2:
            raise UserError(f"task.threshold=validation is for two classes; this data has {num_outputs}")
        self.num_classes = num_outputs
        self.softmax_temperature = softmax_temperature
        self.remedies = remedies(imbalance)
        self.loss = class_loss(loss, num_outputs, label_smoothing, focal="focal" in self.remedies)
        if class_weights is not None and "class_weight" in self.remedies:
            raise UserError("task.imbalance=class_weight computes what task.class_weights gives: use one of them")
        self.given_weights = class_weights
        self.register_buffer("class_weights", None)  # (K,)
        self.threshold = Threshold() if threshold == "validation" else None
        self.data: DataModule | None = None
        self.class_names: list[str] | None = None
        self.metrics.add_metrics(
            {
                "balanced_accuracy": MulticlassAccuracy(num_outputs, average="macro"),
                "f1_macro": MulticlassF1Score(num_outputs, average="macro"),
                "auroc": MulticlassAUROC(num_outputs),
                "average_precision": AveragePrecision()
                if num_outputs == 2
                else MulticlassAveragePrecision(num_outputs),
            }
        )
        if self.threshold is not None:  # known only after the epoch, too late for a mean over batches
            self.metrics.add_metrics({"accuracy": MulticlassAccuracy(num_outputs, average="micro")})
        self.ordered = loss == "ordinal"
        if self.ordered:
            self.metrics.add_metrics({"mae": ClassDistance()})
        facts = {"task": "multiclass", "num_classes": num_outputs}
        add_metrics(self.metrics, metrics, facts, torch.eye(num_outputs), torch.arange(num_outputs))
        self.confusion = MulticlassConfusionMatrix(num_outputs)
        self.mistakes, self.tested = Mistakes(), AnsweredRows()

    def connect(self, data: DataModule) -> None:
        """Take the class names and, before training, what the remedies need from the training split."""
        self.data, self.class_names = data, data.class_names
        if self.ordered and data.is_set_up:
            log.info("Order of the classes: %s", " < ".join(data.class_names or ()))
        if self.remedies and data.is_set_up:
            self.class_weights = prepare(self.remedies, self.net, data, self.num_classes)
        if self.given_weights is not None and data.is_set_up:
            self.class_weights = weights_by_hand(self.given_weights, class_names(data), self.num_classes)

    def step(self, batch: Any) -> Scalars:
        return self.with_own_losses(batch, self.scalars)

    def evaluation_step(self, batch: Any) -> Scalars:
        logits, target = self.net(*self.inputs(batch)) / self.softmax_temperature, batch[-1]  # (B, K), (B,)
        if self.threshold is None:
            self.judge(logits, target)
        else:
            self.threshold.keep(logits, target)  # judged when the threshold is known
        self.mistakes.update(self.inputs(batch), logits.argmax(dim=1), target)
        return self.scalars(logits, target)

    def judge(self, logits: Tensor, target: Tensor) -> None:
        """Update the metrics with the class of the larger logit."""
        probabilities = logits.float().softmax(dim=1)
        self.metrics.update(probabilities, target)
        self.confusion.update(logits, target)
        self.tested.add(*class_errors(probabilities, target))

    def scalars(self, logits: Tensor, target: Tensor) -> Scalars:
        """Loss and accuracy of logits (B, K) against class numbers (B,)."""
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise UserError(
                f"classification needs logits of shape (batch, {self.num_classes}); "
                f"{type(self.net).__name__} returned {tuple(logits.shape)}"
            )
        if self.class_weights is None:
            loss = mean_loss(self.loss, logits, target)
        else:
            loss = weighted_loss(self.loss, logits, target, self.class_weights[target])
        return {"loss": loss, "accuracy": (logits.argmax(dim=1) == target).float().mean()}

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()  # which also begins testing
        self.confusion.reset()
        self.mistakes.reset()
        self.tested.reset()
        if self.threshold is not None:
            self.threshold.reset()

    def on_validation_epoch_end(self) -> None:
        if self.threshold is not None:
            self.threshold.choose()
        super().on_validation_epoch_end()

    def evaluation_metrics(self) -> dict[str, float]:
        if self.threshold is not None:
            logits, target = self.threshold.kept()
            self.judge(self.threshold.shifted(logits), target)
        self.tested.close()
        with warnings.catch_warnings():
            for text in ("No (positive|negative) samples", "Average precision score for one or more classes"):
                warnings.filterwarnings("ignore", message=text)  # handled below
            metrics = super().evaluation_metrics()
        if not self.confusion.compute().sum(dim=1).all():  # ranking a class needs examples of it
            metrics |= {"auroc": math.nan, "average_precision": math.nan}
        return metrics

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: the label and the probability of every class."""
        logits = self.net(*self.encoded(rows, data)).float() / self.softmax_temperature  # (B, K)
        decided = (logits if self.threshold is None else self.threshold.shifted(logits)).argmax(dim=1)
        return class_answers(class_names(data), decided.tolist(), logits.softmax(dim=1).tolist())

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return class_columns(class_names(data))

    def own_state(self) -> dict[str, Tensor]:
        """What belongs to the model besides its net: the class weights of the loss and the threshold."""
        found = {} if self.class_weights is None else {"class_weights": self.class_weights}
        return found | ({} if self.threshold is None else {"threshold": self.threshold.value})

    def save_weights(self, folder: Path) -> None:
        super().save_weights(folder)
        if state := self.own_state():
            save_file(state, folder / "task.safetensors")

    def load_weights(self, folder: Path) -> None:
        super().load_weights(folder)
        state = load_file(folder / "task.safetensors") if (folder / "task.safetensors").exists() else {}
        self.class_weights = state.get("class_weights")
        if self.threshold is not None:
            self.threshold.value.copy_(state["threshold"])

    def write_files(self, folder: Path, data: DataModule) -> None:
        write_tested(self.tested.found, folder, data)

    def figures(self) -> dict[str, Figure]:
        drawn = {"confusion_matrix": charts.confusion_matrix(self.confusion.compute().cpu().numpy(), self.class_names)}
        if self.data is not None and self.data.is_set_up:
            sizes = {
                split: np.bincount(self.data.targets_of(split), minlength=self.num_classes) for split in self.data.sizes
            }
            if sizes["train"].max() > 2 * sizes["train"].min():
                drawn["class_distribution"] = charts.class_distribution(sizes, self.class_names)
            drawn |= attended_words(self, self.data)
        return drawn | image_figures(self.net, self.mistakes, self.class_names)
