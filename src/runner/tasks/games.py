"""What a generator and a discriminator play for: losses of the two, by name, and what keeps the discriminator smooth.

Sources: minimax and non-saturating: Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and section 3; wasserstein:
Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, with the gradient penalty of Gulrajani et al. 2017,
arXiv:1704.00028, algorithm 1; hinge: Lim and Ye 2017, arXiv:1705.02894; unrolling: Metz et al. 2017, arXiv:1611.02163,
section 2.

Shape letters: B examples that are judged.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

GameName = Literal["minimax", "non_saturating", "wasserstein", "hinge"]
Judge = Callable[[Tensor], Tensor]  # examples (B, ...) to logits (B,)


class Game(NamedTuple):
    """The losses of both players from the discriminator's logits, each (B,).

    Args:
        discriminator: (of real examples, of made ones) to what the discriminator minimises.
        generator: (of made ones) to what the generator minimises.
        penalty: weight of the gradient penalty, unless the user sets it.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    penalty: float = 0.0


def told_apart(real: Tensor, made: Tensor) -> Tensor:
    """Cross-entropy of "real" and "made", mean over both."""
    return (F.softplus(-real).mean() + F.softplus(made).mean()) / 2


GAMES: dict[str, Game] = {
    "minimax": Game(told_apart, lambda made: -F.softplus(made).mean()),
    "non_saturating": Game(told_apart, lambda made: F.softplus(-made).mean()),
    "wasserstein": Game(lambda real, made: made.mean() - real.mean(), lambda made: -made.mean(), penalty=10.0),
    "hinge": Game(lambda real, made: F.relu(1 - real).mean() + F.relu(1 + made).mean(), lambda made: -made.mean()),
}


def gradient_penalty(judge: Judge, real: Tensor, made: Tensor) -> Tensor:
    """How far the slope of the discriminator is from 1, squared, at points between real and made examples."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    between = (share * real + (1 - share) * made).detach().requires_grad_()
    (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def unrolled(discriminator: nn.Module, game: Game, real: Tensor, made: Tensor, steps: int, lr: float) -> Tensor:
    """The logits (B,) of made examples after `steps` more steps of the discriminator, which are not kept.

    The steps are plain gradient descent with the rate `lr`; the generator's gradient flows through them.
    """
    weights = {name: value.detach().requires_grad_() for name, value in discriminator.named_parameters()}
    for _ in range(steps):
        logits = (functional_call(discriminator, weights, (examples,)) for examples in (real, made))
        loss = game.discriminator(*logits)
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        weights = {name: value - lr * slope for (name, value), slope in zip(weights.items(), slopes, strict=True)}
    return functional_call(discriminator, weights, (made,))


def packs(images: Tensor, size: int) -> Tensor:
    """Images (N, C, H, W) as packs of `size`, one after another in the channels: (ceil(N / size), size * C, H, W).

    The last pack begins again with the first images.
    """
    if size == 1:
        return images
    rows = -(-len(images) // size) * size
    order = torch.arange(rows, device=images.device) % len(images)
    return images[order].reshape(rows // size, size * images.shape[1], *images.shape[2:])
