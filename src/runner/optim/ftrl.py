"""FTRL-Proximal: follow the regularised leader, with a learning rate for each weight.

Source: McMahan et al., Ad Click Prediction: a View from the Trenches, KDD 2013, doi:10.1145/2487575.2488200,
algorithm 1 and equation 1. Departures: the weights may start anywhere (the source starts at zero, where a net cannot
learn), and the learning rate may change during training, since sigma is the growth of 1 / rate, as the source
defines it.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer


class FTRL(Optimizer):
    """The weights that would have been best so far, kept close to those of earlier steps; l1 makes some exactly zero.

    With the gradient g, the sum n of squared gradients and the rate lr / (beta + sqrt(n)) of each weight::

        sigma = growth of (beta + sqrt(n)) / lr
        z = z + g - sigma * w
        w = 0                                                              if |z| <= l1
        w = -(z - sign(z) * l1) / ((beta + sqrt(n)) / lr + l2)             otherwise

    Without l1 and l2 this is AdaGrad.

    Args:
        params: parameters, or groups of them.
        lr: alpha of the source, above 0.
        beta: of the source: the larger, the slower the first steps; above 0.
        l1: penalty on |w|, at least 0; makes weights exactly zero.
        l2: penalty on w^2 / 2, at least 0.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float = 0.1,
        beta: float = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
    ):
        if lr <= 0 or beta <= 0 or l1 < 0 or l2 < 0:
            raise ValueError(f"lr, beta, l1 and l2 must be positive, received {lr}, {beta}, {l1} and {l2}")
        super().__init__(params, {"lr": lr, "beta": beta, "l1": l1, "l2": l2})

    @torch.no_grad()
    def step(self, closure=None):  # without annotations, as in torch, whose overloads no single one fits
        """Take one step; `closure` recomputes the loss and returns it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["lr"] > 0:  # a schedule may end at zero, where nothing moves
                for weight in group["params"]:
                    if weight.grad is not None:
                        self.move(weight, group)
        return loss

    def move(self, weight: Tensor, group: dict) -> None:
        """Update one parameter."""
        lr, beta, l1, l2 = group["lr"], group["beta"], group["l1"], group["l2"]
        state = self.state[weight]
        if not state:
            state["n"] = torch.zeros_like(weight)
            state["slowness"] = torch.full_like(weight, beta / lr)  # 1 / rate
            state["z"] = -weight * state["slowness"]  # at first the weights are kept close to where they start
        n, z = state["n"], state["z"]
        n.addcmul_(weight.grad, weight.grad)
        slowness = (n.sqrt() + beta) / lr
        z.add_(weight.grad).addcmul_(slowness - state["slowness"], weight, value=-1)
        state["slowness"] = slowness
        kept = z - z.clamp(-l1, l1) if l1 else z  # zero where |z| <= l1
        weight.copy_(-kept / (slowness + l2))
