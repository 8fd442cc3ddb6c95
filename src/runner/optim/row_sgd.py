"""Gradient descent for tables of vectors: a step touches only the rows that have a gradient, none too far.

Source: the step is that of Tomas Mikolov et al., word2vec, 2013, where each pair of words is a step of its own. Here
the gradients of a whole batch are summed before a step, and the gradient of a word that occurs hundreds of times in it
would carry it far beyond where those gradients hold; so no row moves further than `max_step`.

Shape letters: V rows of a table, U rows with a gradient, E numbers of a row.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer


class RowSGD(Optimizer):
    """Step -lr * g for each row, shortened to the length `max_step` where it is longer.

    Args:
        params: parameters, or groups of them; gradients may be sparse or dense.
        lr: learning rate, above 0.
        max_step: longest step of a row, above 0.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict], lr: float = 0.025, max_step: float = 0.25):
        if lr <= 0 or max_step <= 0:
            raise ValueError(f"lr and max_step must be above 0, received {lr} and {max_step}")
        super().__init__(params, {"lr": lr, "max_step": max_step})

    @torch.no_grad()
    def step(self, closure=None):  # without annotations, as in torch, whose overloads no single one fits
        """Take one step; `closure` recomputes the loss and returns it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    rows, grad = gradient_rows(weight.grad)
                    longest = (group["lr"] * grad.norm(dim=1, keepdim=True)).clamp(min=group["max_step"])  # (U, 1)
                    change = grad * (-group["lr"] * group["max_step"] / longest)
                    weight.index_add_(0, rows, change.view(len(rows), *weight.shape[1:]))
        return loss


def gradient_rows(grad: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that have a gradient, each once, (U,), and the sum of the gradients of each as a matrix (U, E)."""
    if not grad.is_sparse:
        return torch.arange(len(grad), device=grad.device), grad.reshape(len(grad), -1)
    summed = grad.coalesce()
    return summed.indices()[0], summed.values().flatten(1)
