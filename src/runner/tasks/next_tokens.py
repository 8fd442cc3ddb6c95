"""What objectives share that predict each next token of a text.

Shape letters: B batch, T tokens, V vocabulary.
"""

import math
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from runner.datamodules.parts.batches import IGNORE
from runner.errors import UserError
from runner.tasks.means import Mean, Scalars


def cross_entropy(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean over the tokens that count, of logits (B, T, V) against the tokens that follow (B, T)."""
    if logits.shape[:2] != target.shape:
        raise UserError(
            f"predicting tokens needs logits of shape {(*target.shape, 'V')}; received {tuple(logits.shape)}"
        )
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE, label_smoothing=label_smoothing)


def mean_over_tokens(own: dict[str, Tensor], target: Tensor, usual: Callable[[], Tensor]) -> Scalars:
    """Return the loss as a mean over the tokens that count, and the other losses of the net, which are added to it.

    Args:
        own: losses of the net itself; "loss" replaces the usual one.
        target: the tokens that follow (B, T).
        usual: computes the usual loss.
    """
    loss = own.pop("loss") if "loss" in own else usual()
    return {"loss": Mean(sum(own.values(), loss), (target != IGNORE).sum()), **own}


def perplexity(loss: float) -> float:
    """How many equally likely tokens would be as hard to predict."""
    return math.exp(min(loss, 700.0))  # beyond 700 a double overflows
