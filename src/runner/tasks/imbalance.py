"""Classes of very unequal size: output bias, class weights, oversampling, and a threshold chosen on validation.

Each works with any classifier and any data with classes: all they need is how many training rows each class has.

Shape letters: B batch, N rows, K classes.
Sources: class weights total / (K * n): King and Zeng 2001, as in scikit-learn; output bias: the log prior, as in
naive Bayes; focal loss: Lin et al. 2017, section 4.1 of which sets the output bias, too.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import CatMetric
from torchmetrics.classification import BinaryAveragePrecision
from torchmetrics.utilities import dim_zero_cat

from runner.datamodules.base import DataModule
from runner.errors import UserError, closest

Remedy = Literal["none", "bias", "class_weight", "oversample", "focal"]
REMEDIES = ("none", "bias", "class_weight", "oversample", "focal")


def remedies(chosen: Remedy | list[Remedy]) -> set[Remedy]:
    """What `task.imbalance` asks for, as a set; one word or a list of words."""
    words = [chosen] if isinstance(chosen, str) else list(chosen)
    for word in words:
        if word not in REMEDIES:
            raise UserError(f"task.imbalance={word}: there is no such remedy.{closest(word, REMEDIES)} "
                            f"Allowed: {', '.join(REMEDIES)}, or several as [bias,class_weight]")  # fmt: skip
    found = set(words) - {"none"}
    if {"class_weight", "oversample"} <= found:
        raise UserError("task.imbalance: class_weight and oversample both compensate for rare classes; use one of them")
    return found


def prepare(chosen: set[Remedy], net: nn.Module, data: DataModule, num_classes: int) -> Tensor | None:
    """Apply the remedies before the first step; return the class weights of the loss (K,), or None.

    Args:
        chosen: the remedies.
        net: gets its output bias ("bias").
        data: gives the targets of the training split; its rows are then drawn with weights ("oversample").
        num_classes: number of classes K.
    """
    targets = torch.from_numpy(np.asarray(data.targets_of("train"), dtype=np.int64))
    counts = class_counts(targets, num_classes)
    if "bias" in chosen:
        set_output_bias(net, counts)
    if "oversample" in chosen:
        data.row_weights = row_weights(targets, counts)
    return class_weights(counts) if "class_weight" in chosen else None


def class_counts(targets: Tensor, num_classes: int) -> Tensor:
    """Rows of each class (K,), float64; a class without rows counts as one row, so that no weight is infinite."""
    return torch.bincount(targets, minlength=num_classes).double().clamp(min=1)


def class_weights(counts: Tensor) -> Tensor:
    """total / (K * n) for each class of n rows, float32 (K,): equal weight for all classes, mean weight 1."""
    return (counts.sum() / (len(counts) * counts)).float()


def weights_by_hand(given: Sequence[float] | Mapping[str, float], names: Sequence[str], num_classes: int) -> Tensor:
    """Return the class weights that a person has chosen, float32 (K,).

    Args:
        given: one for each class, or {class: weight}; the others weigh 1.
        names: of the classes.
        num_classes: number of classes K.
    """
    if isinstance(given, Mapping):
        for name in given:
            if str(name) not in names:
                raise UserError(f"task.class_weights: there is no class {name!r}.{closest(str(name), names)} "
                                f"Allowed: {', '.join(names)}")  # fmt: skip
        by_name = {str(name): weight for name, weight in given.items()}
        given = [by_name.get(name, 1.0) for name in names]
    weights = torch.tensor(list(given), dtype=torch.float32)
    if len(weights) != num_classes or not (weights >= 0).all() or not weights.sum() > 0:
        raise UserError(f"task.class_weights={list(given)}: expected {num_classes} numbers, one for each class "
                        f"({', '.join(names)}), none below 0 and not all 0")  # fmt: skip
    return weights


def row_weights(targets: Tensor, counts: Tensor) -> Tensor:
    """How often each row is drawn, relative to the others, so that all classes are equally frequent; float64 (N,)."""
    return (1 / counts)[targets]


@torch.no_grad()
def set_output_bias(net: nn.Module, counts: Tensor) -> None:
    """Start from the class frequencies: the last linear layer's bias becomes log(n / total).

    With two classes the logits then differ by log(pos / neg), so the first answers are the prior and not 1/2.
    """
    sizes = [module for module in net.modules() if isinstance(module, nn.Linear)]
    fitting = [module for module in sizes if module.out_features == len(counts) and module.bias is not None]
    if not fitting:
        found = ", ".join(f"{each.in_features}-{each.out_features}" for each in sizes) or "none"
        raise UserError(
            f"task.imbalance=bias needs a linear layer with a bias and {len(counts)} outputs, one for each class; "
            f"{type(net).__name__} has none (linear layers: {found}). Use class_weight or oversample."
        )
    fitting[-1].bias.copy_((counts / counts.sum()).log())


class AveragePrecision(BinaryAveragePrecision):
    """Area under the precision-recall curve of class 1; takes the probabilities of both classes (B, 2)."""

    def __init__(self):
        super().__init__()

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        super().update(probabilities[:, 1], target)


class Threshold(nn.Module):
    """The probability from which a row counts as class 1: that with the best balanced accuracy on validation.

    The threshold is a buffer, so a checkpoint holds the one that belongs to its weights.
    """

    value: Tensor  # between 0 and 1

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(0.5))
        self.logits, self.targets = CatMetric(), CatMetric()

    def reset(self) -> None:
        self.logits.reset()
        self.targets.reset()

    def keep(self, logits: Tensor, target: Tensor) -> None:
        """Keep a batch until the threshold is known."""
        self.logits.update(logits.float())
        self.targets.update(target)

    def kept(self) -> tuple[Tensor, Tensor]:
        """The logits (N, 2) and class numbers (N,) this process has kept."""
        return dim_zero_cat(self.logits.value), dim_zero_cat(self.targets.value).long()

    def choose(self) -> None:
        """Set the threshold from all rows kept, by all processes."""
        probability = self.logits.compute().softmax(dim=1)[:, 1]  # (N,)
        self.value.copy_(best_threshold(probability, self.targets.compute().long()))

    def shifted(self, logits: Tensor) -> Tensor:
        """Logits (B, 2) whose larger one is the class chosen by the threshold; the order of the rows stays the same."""
        shift = torch.stack([torch.zeros_like(self.value), -torch.logit(self.value, eps=1e-6)])
        return logits + shift


def best_threshold(probability: Tensor, target: Tensor) -> Tensor:
    """The threshold with the largest balanced accuracy, half-way between two neighbouring probabilities.

    Args:
        probability: of class 1, (N,).
        target: class numbers, 0 or 1, (N,).

    Returns:
        a scalar; 0.5 if one of the classes is absent.
    """
    positives = target.sum()
    negatives = len(target) - positives
    if not len(target) or positives == 0 or negatives == 0:
        return torch.tensor(0.5)
    ordered, order = probability.double().sort(descending=True)
    hits = target[order].double()
    recall = hits.cumsum(0) / positives  # of class 1, if the first i rows are called 1
    alarms = (1 - hits).cumsum(0) / negatives
    last_of_equals = torch.cat([ordered[1:] < ordered[:-1], torch.ones(1, dtype=torch.bool, device=ordered.device)])
    score = torch.where(last_of_equals, recall - alarms, -1.0)
    best = int(score.argmax())
    below = ordered[best + 1] if best + 1 < len(ordered) else torch.zeros_like(ordered[best])
    return ((ordered[best] + below) / 2).float()
