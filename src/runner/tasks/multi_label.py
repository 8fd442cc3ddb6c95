"""Several labels for each example, or none: a yes-or-no question for each label.

The net returns logits (B, K); the target (B, K), float32, is 1 where an example has a label, 0 elsewhere.

Shape letters: B batch, K labels.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MultilabelAveragePrecision, MultilabelF1Score

from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.tasks import examples
from runner.tasks.answers import class_names
from runner.tasks.base import Task
from runner.tasks.means import Scalars
from runner.tasks.own_metrics import add_metrics


class MultiLabel(Task):
    """Binary cross-entropy of every label; micro and macro F1 and mean average precision on validation and test.

    All of them are of the whole split, not means over batches; a label that no example of a split has counts 0, as in
    scikit-learn.

    Args:
        net: returns logits (B, K).
        num_outputs: number of labels K.
        threshold: probability above which a label is answered, in (0, 1).
        metrics: further ones, {name: node with `_target_`}; they are given probabilities (B, K) and labels
            (B, K), 0 or 1.
    """

    at_use = ("threshold",)
    asked_as = ("classify",)

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        threshold: float = 0.5,
        metrics: Mapping[str, Any] | None = None,
    ):
        super().__init__(net)
        if num_outputs < 2:
            raise UserError(f"several labels are needed, received data.num_labels={num_outputs}")
        if not 0 < threshold < 1:
            raise UserError(f"task.threshold must be in (0, 1), received {threshold}")
        self.num_labels, self.threshold = num_outputs, threshold
        self.metrics.add_metrics(
            {
                "f1_micro": MultilabelF1Score(num_outputs, threshold, average="micro"),
                "f1_macro": MultilabelF1Score(num_outputs, threshold, average="macro"),
                "mean_average_precision": MultilabelAveragePrecision(num_outputs),
            }
        )
        tried = torch.arange(2 * num_outputs).view(2, num_outputs)
        facts = {"task": "multilabel", "num_labels": num_outputs}
        add_metrics(self.metrics, metrics, facts, tried / tried.max(), tried % 2)

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Any:
        return examples.with_labels(facts, read, rows, draw)

    def step(self, batch: Any) -> Scalars:
        return self.with_own_losses(batch, self.scalars)

    def evaluation_step(self, batch: Any) -> Scalars:
        logits, target = self.net(*self.inputs(batch)), batch[-1]  # (B, K), (B, K)
        self.metrics.update(logits.float().sigmoid(), target.long())
        return self.scalars(logits, target)

    def scalars(self, logits: Tensor, target: Tensor) -> Scalars:
        """Loss of logits (B, K) against labels (B, K), and the share of examples whose labels are all right."""
        if logits.shape != target.shape:
            raise UserError(
                f"multi_label needs logits of shape (batch, {self.num_labels}); "
                f"{type(self.net).__name__} returned {tuple(logits.shape)}"
            )
        found = logits.float().sigmoid() > self.threshold
        exact = (found == target.bool()).all(dim=1).float().mean()
        return {"loss": F.binary_cross_entropy_with_logits(logits, target), "exact_match": exact}

    def evaluation_metrics(self) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Average precision score for one or more classes")
            warnings.filterwarnings("ignore", message="No positive samples")
            return super().evaluation_metrics()

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: all labels above the threshold, and the probability of every label."""
        names = class_names(data)
        mark = getattr(data.targets, "mark", ";")
        chances = self.net(*self.encoded(rows, data)).float().sigmoid().tolist()  # (B, K)
        return [
            {"labels": mark.join(name for name, chance in zip(names, row, strict=True) if chance > self.threshold)}
            | {f"probability_{name}": chance for name, chance in zip(names, row, strict=True)}
            for row in chances
        ]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"labels": "string"} | {f"probability_{name}": "double" for name in class_names(data)}
