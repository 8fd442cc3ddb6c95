"""Loss functions: what training minimises.

All take (prediction, target, reduction), where reduction "mean" gives one number and "none" one number for each
example, as in torch. Hinge losses and binary cross-entropy treat class scores as yes-or-no questions, see `questions`.

Shape letters: B batch, K classes, D targets.
Sources: hinge: Cortes and Vapnik 1995; squared hinge: Chang, Hsieh and Lin 2008; pairwise ranking hinge: Weston and
Watkins 1999, and as max(0, 1 - f(u, i) + f(u, i')) in recommendation; focal: Lin et al. 2017, arXiv:1708.02002,
equation 4; ordinal: one yes-or-no question for each step of the order, Cao, Mirjalili and Raschka 2020,
arXiv:1901.07884, equation 4, here of the probabilities of a softmax, so that any net of classes can be used.
"""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from runner.config.functions import function
from runner.config.instances import refusals
from runner.errors import UserError

ClassLoss = Literal[
    "cross_entropy", "binary_cross_entropy", "hinge", "squared_hinge", "pairwise_ranking_hinge", "focal", "ordinal"
]
ValueLoss = Literal["mse", "mae", "huber"]


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Losses (B,) unchanged ("none") or their mean ("mean")."""
    return losses.mean() if reduction == "mean" else losses


def questions(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Class scores as yes-or-no questions: scores (B, Q) and the right answers (B, Q), +1 or -1.

    Two classes are one question, "is it class 1?", scored by the difference of the logits; K classes are K questions.
    """
    if logits.shape[1] == 2:
        return logits[:, 1:] - logits[:, :1], (2 * target - 1).unsqueeze(1).to(logits.dtype)
    return logits, 2 * F.one_hot(target, logits.shape[1]).to(logits.dtype) - 1


def binary_cross_entropy(logits: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """-log of the probability that a sigmoid gives the right answer, mean over the questions."""
    scores, answers = questions(logits, target)
    return reduced(F.softplus(-answers * scores).mean(dim=1), reduction)


def hinge(logits: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """max(0, 1 - answer * score), mean over the questions."""
    scores, answers = questions(logits, target)
    return reduced(F.relu(1 - answers * scores).mean(dim=1), reduction)


def squared_hinge(logits: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """max(0, 1 - answer * score)^2, mean over the questions."""
    scores, answers = questions(logits, target)
    return reduced(F.relu(1 - answers * scores).square().mean(dim=1), reduction)


def pairwise_ranking_hinge(logits: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """max(0, 1 - score of the right class + score of a wrong one), mean over the wrong classes."""
    right = logits.gather(1, target.unsqueeze(1))  # (B, 1)
    pairs = F.relu(1 - right + logits)  # (B, K); the right class against itself gives 1
    return reduced((pairs.sum(dim=1) - 1) / (logits.shape[1] - 1), reduction)


def focal(logits: Tensor, target: Tensor, reduction: str = "mean", gamma: float = 2.0) -> Tensor:
    """Cross-entropy times (1 - p)^gamma, where p is the probability of the right class: easy examples count less."""
    log_p = F.log_softmax(logits, dim=1).gather(1, target.unsqueeze(1)).squeeze(1)  # (B,)
    return reduced(-((1 - log_p.exp()) ** gamma) * log_p, reduction)


def ordinal(logits: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Of ordered classes: -log of the probability that "is it above class k?" is answered rightly, sum over k < K - 1.

    The probability of the classes above k, that of the softmax, has the log-odds logsumexp(above) - logsumexp(rest): a
    class that is farther away costs more.
    """
    places = range(1, logits.shape[1])
    odds = [logits[:, k:].logsumexp(dim=1) - logits[:, :k].logsumexp(dim=1) for k in places]
    above = torch.stack(odds, dim=1)  # (B, K - 1)
    answers = (target.unsqueeze(1) >= torch.arange(1, logits.shape[1], device=target.device)).to(logits.dtype)
    return reduced(F.binary_cross_entropy_with_logits(above, answers, reduction="none").sum(dim=1), reduction)


def by_row(function: Callable, output: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """A loss of torch over outputs (B, D): the number of an example is the mean over its targets."""
    if reduction == "mean":
        return function(output, target)
    return function(output, target, reduction="none").flatten(1).mean(dim=1)


def half_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Half the sum of the squared errors of outputs (B, D), summed over the batch as in textbooks on gradient descent.

    Its gradient is the sum of error times input, so the step grows with the size of the batch.
    """
    return (output - target).square().sum() / 2


CLASS_LOSSES: dict[str, Callable] = {
    "cross_entropy": F.cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "hinge": hinge,
    "squared_hinge": squared_hinge,
    "pairwise_ranking_hinge": pairwise_ranking_hinge,
    "focal": focal,
    "ordinal": ordinal,
}
VALUE_LOSSES: dict[str, Callable] = {
    "mse": partial(by_row, F.mse_loss),
    "mae": partial(by_row, F.l1_loss),
    "huber": partial(by_row, F.huber_loss),
}


def class_loss(
    choice: str | dict[str, Any], num_outputs: int, label_smoothing: float = 0.0, focal: bool = False
) -> Callable:
    """The loss of class scores that `task.loss` names.

    Args:
        choice: a name in CLASS_LOSSES, a dotted path, or a node with `_target_`.
        num_outputs: number of classes.
        label_smoothing: share of the target probability spread over all classes; of cross_entropy.
        focal: whether the focal loss replaces cross_entropy.
    """
    if not 0 <= label_smoothing <= 1:
        raise UserError(f"task.label_smoothing must be in 0 .. 1, received {label_smoothing}")
    if focal and choice not in ("cross_entropy", "focal"):
        raise UserError(f"task.imbalance=focal is itself a loss and does not go with task.loss={choice}")
    choice = "focal" if focal else choice
    if label_smoothing and choice != "cross_entropy":
        raise UserError(f"task.label_smoothing belongs to task.loss=cross_entropy, not to {choice}")
    found = function(choice, CLASS_LOSSES, "task.loss")
    try_out(found, choice, torch.zeros(2, num_outputs), torch.zeros(2, dtype=torch.int64))
    return partial(found, label_smoothing=label_smoothing) if label_smoothing else found


def value_loss(choice: str | dict[str, Any], num_outputs: int) -> Callable:
    """The loss of real values that `task.loss` names.

    Args:
        choice: a name in VALUE_LOSSES, a dotted path, or a node with `_target_`.
        num_outputs: number of targets.
    """
    found = function(choice, VALUE_LOSSES, "task.loss")
    try_out(found, choice, torch.zeros(2, num_outputs), torch.zeros(2, num_outputs))
    return found


def try_out(loss: Callable, choice: str | dict[str, Any], prediction: Tensor, target: Tensor) -> None:
    """Call a loss once before training: only then torch's own look at settings such as the delta of HuberLoss."""
    with refusals(choice, "task.loss"), torch.random.fork_rng(devices=[]):
        mean_loss(copy.deepcopy(loss), prediction, target)


def mean_loss(loss: Callable, prediction: Tensor, target: Tensor) -> Tensor:
    """The mean loss of a batch; a user's own function may return one number, or one for each example."""
    losses = loss(prediction, target)
    return losses.mean() if losses.ndim else losses


def weighted_loss(loss: Callable, prediction: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """The mean over the batch of each example's loss times its weight (B,)."""
    takes_reduction = "reduction" in inspect.signature(loss).parameters
    losses = loss(prediction, target, reduction="none") if takes_reduction else loss(prediction, target)
    if losses.shape != weights.shape:
        raise UserError(
            "task.imbalance=class_weight needs a loss with one number for each example, of shape "
            f"{tuple(weights.shape)}; this one returned {tuple(losses.shape)}"
        )
    return (losses * weights).mean()
