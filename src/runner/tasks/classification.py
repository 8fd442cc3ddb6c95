"""Classification: one class for each example.

The net returns logits (B, K); the target holds class numbers, int64 (B,).
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from runner import figures
from runner.errors import UserError
from runner.tasks.base import Task


class Classification(Task):
    """Cross-entropy of the target class; accuracy, balanced accuracy, macro F1 and AUROC on validation and test.

    Args:
        net: returns logits (B, K).
        num_outputs: number of classes K.
        loss: the loss function.
        label_smoothing: share of the target probability spread over all classes, 0 .. 1.
        optimizer: builds the optimizer from the parameters.
        schedule: builds the learning-rate schedule from the optimizer.
        monitor: the validation metric that picks the best checkpoint.
        mode: min or max of that metric.
    """

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        loss: Literal["cross_entropy"] = "cross_entropy",
        label_smoothing: float = 0.0,
        optimizer: Callable | None = None,
        schedule: Callable | None = None,
        monitor: str | None = "val/accuracy",
        mode: Literal["min", "max"] = "max",
    ):
        super().__init__(net, optimizer, schedule, monitor, mode)
        if num_outputs < 2:
            raise UserError(f"classification needs at least 2 classes, received data.num_classes={num_outputs}")
        if not 0 <= label_smoothing <= 1:
            raise UserError(f"task.label_smoothing lies in 0 .. 1, received {label_smoothing}")
        self.num_classes = num_outputs
        self.label_smoothing = label_smoothing
        self.class_names: list[str] | None = None
        self.metrics.add_metrics(
            {
                "balanced_accuracy": MulticlassAccuracy(num_outputs, average="macro"),
                "f1_macro": MulticlassF1Score(num_outputs, average="macro"),
                "auroc": MulticlassAUROC(num_outputs),
            }
        )
        self.confusion = MulticlassConfusionMatrix(num_outputs)

    def connect(self, data: Any) -> None:
        self.class_names = data.class_names

    def step(self, batch: tuple) -> dict[str, Tensor]:
        return self.scores(self.net(*self.inputs(batch)), batch[-1])

    def evaluation_step(self, batch: tuple) -> dict[str, Tensor]:
        logits, target = self.net(*self.inputs(batch)), batch[-1]  # (B, K), (B,)
        self.metrics.update(logits.float().softmax(dim=1), target)
        self.confusion.update(logits, target)
        return self.scores(logits, target)

    def scores(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Loss and accuracy of logits (B, K) against class numbers (B,)."""
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise UserError(
                f"classification needs logits of shape (batch, {self.num_classes}); "
                f"{type(self.net).__name__} returned {tuple(logits.shape)}"
            )
        return {
            "loss": F.cross_entropy(logits, target, label_smoothing=self.label_smoothing),
            "accuracy": (logits.argmax(dim=1) == target).float().mean(),
        }

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.confusion.reset()

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.confusion.reset()

    @torch.inference_mode()
    def predict(self, inputs: tuple, data: Any) -> list[dict]:
        """One row an example: the label and the probability of every class."""
        probabilities = self.net(*inputs).float().softmax(dim=1)  # (B, K)
        return [
            {"label": data.class_names[max(range(len(row)), key=row.__getitem__)]}
            | {f"probability_{name}": value for name, value in zip(data.class_names, row, strict=True)}
            for row in probabilities.tolist()
        ]

    def answer_columns(self, data: Any) -> dict[str, str]:
        return {"label": "string"} | {f"probability_{name}": "double" for name in data.class_names}

    def figures(self) -> dict[str, Any]:
        return {"confusion_matrix": figures.confusion_matrix(self.confusion.compute().cpu().numpy(), self.class_names)}
