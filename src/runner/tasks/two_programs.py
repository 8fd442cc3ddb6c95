"""An encoder-decoder as two programs of plain tensors, for other programs: what reads the source, and one step.

state = encoder(src)                          src: int64 (B, S)
logits, *state = decoder(token, *state)       token: int64 (B,), first the start mark; logits (B, V)
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

Inputs = list[tuple[Tensor, ...]]


class ReadsSource(nn.Module):
    """The state before the first step, as a flat tuple.

    Args:
        net: it has `start`.
    """

    def __init__(self, net: Any):
        super().__init__()
        self.net = net

    def forward(self, src: Tensor) -> tuple[Tensor, ...]:
        return parts_of_state(self.net.start(src))


class TakesStep(nn.Module):
    """Logits of the next token and the state after it, as a flat tuple.

    Args:
        net: it has `step`.
        state: an example of its state.
    """

    def __init__(self, net: Any, state: Any):
        super().__init__()
        self.net, self.form = net, tree_flatten(state)[1]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """A token (B,) and the parts of the state before it."""
        logits, state = self.net.step(inputs[0], tree_unflatten(inputs[1:], self.form))
        return logits, *parts_of_state(state)


def parts_of_state(state: Any) -> tuple[Tensor, ...]:
    """The tensors of a state, each in one piece of memory, as a program expects them."""
    return tuple(part.contiguous() for part in tree_flatten(state)[0])


@torch.no_grad()
def two_programs(net: Any, sources: list[Tensor], first: int) -> dict[str, tuple[nn.Module, Inputs]]:
    """Return encoder and decoder, each with inputs of several sizes.

    Args:
        net: it has `start` and `step`.
        sources: int64 (B, S) each.
        first: the token that begins a target.
    """
    steps: Inputs = []
    state: Any = None
    for taken, src in enumerate(sources, 1):
        state, token = net.start(src), torch.full_like(src[:, 0], first)
        for _ in range(taken):
            logits, state = net.step(token, state)
            token = logits.argmax(dim=1)
        steps.append((token, *parts_of_state(state)))
    return {"encoder": (ReadsSource(net), [(src,) for src in sources]), "decoder": (TakesStep(net, state), steps)}
