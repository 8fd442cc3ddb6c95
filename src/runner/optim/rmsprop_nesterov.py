"""RMSProp with Nesterov momentum.

Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, algorithm 8.6. Departure: a small constant under the
root, as in the book's plain RMSProp (algorithm 8.5), so that a weight whose gradient has always been zero does not
move.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer


class RMSpropNesterov(Optimizer):
    """Look ahead along the velocity, take the gradient there, and divide it by the root of its recent mean square.

    With velocity v, mean square r, learning rate e and the gradient g at the look-ahead point w + momentum * v::

        r = decay * r + (1 - decay) * g^2
        v = momentum * v - e * g / sqrt(r + eps)
        w = w + v

    Between two steps the parameters hold the look-ahead point of the next one, w + momentum * v, as with torch's own
    SGD: the gradient has to be taken there.

    Args:
        params: parameters, or groups of them.
        lr: learning rate e, above 0.
        decay: of the mean square, in [0, 1).
        momentum: share of the velocity that is kept, in [0, 1).
        eps: added under the root, above 0.
        weight_decay: factor of the squared weights in the loss, halved; at least 0.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float = 0.001,
        decay: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ):
        if lr < 0 or eps <= 0 or weight_decay < 0:
            raise ValueError(f"lr, eps and weight_decay must be positive, received {lr}, {eps} and {weight_decay}")
        if not (0 <= decay < 1 and 0 <= momentum < 1):
            raise ValueError(f"decay and momentum must be in 0 .. 1, received {decay} and {momentum}")
        super().__init__(
            params, {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure=None):  # without annotations, as in torch, whose overloads no single one fits
        """Take one step; `closure` recomputes the loss and returns it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for ahead in group["params"]:  # w + momentum * v
                if ahead.grad is not None:
                    self.move(ahead, ahead.grad, group)
        return loss

    def move(self, ahead: Tensor, gradient: Tensor, group: dict) -> None:
        """Update one parameter."""
        if group["weight_decay"]:
            gradient = gradient.add(ahead, alpha=group["weight_decay"])
        state = self.state[ahead]
        if not state:
            state["velocity"] = torch.zeros_like(ahead)
            state["mean_square"] = torch.zeros_like(ahead)
        velocity, mean_square = state["velocity"], state["mean_square"]
        mean_square.mul_(group["decay"]).addcmul_(gradient, gradient, value=1 - group["decay"])
        ahead.sub_(velocity, alpha=group["momentum"])  # back to w
        scaled = gradient / (mean_square + group["eps"]).sqrt()
        velocity.mul_(group["momentum"]).sub_(scaled, alpha=group["lr"])
        ahead.add_(velocity, alpha=1 + group["momentum"])  # w + v, and on to the next look-ahead point
