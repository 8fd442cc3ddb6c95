"""Which words of a text mattered for a net's answer.

A net that weights its words itself says how (`runner.tasks.attended`); of several weightings the mean counts. For any
net that reads tokens through `nn.Embedding` or `nn.EmbeddingBag` the score is divided among the words by integrated
gradients; what a net looked at and what moved its score need not be the same words, so that both are shown.

Source: Mukund Sundararajan, Ankur Taly and Qiqi Yan, Axiomatic Attribution for Deep Networks, ICML 2017,
arXiv:1703.01365: the word vectors grow from zero to what they are, and each word is credited with the change of the
score along its vector. The credits of all words add up to the total change.

Shape letters: B batch, T time (tokens), E embedding, K outputs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.errors import UserError
from runner.tasks.attended import attention_of

GRADIENTS = "integrated gradients"
STEPS = 64  # of the path from zero to the word vectors


class Explanation(NamedTuple):
    """The weight of each token of each text, (B, T); how it was found; and the column of the answer it refers to.

    `beside` has the integrated gradients (B, T) where the weights are something else.
    """

    weights: Tensor
    method: str
    column: Tensor
    beside: Tensor | None = None


def explain_answers(net: nn.Module, tokens: Tensor, steps: int = STEPS) -> Explanation:
    """Explain the largest score of each text.

    Args:
        net: from tokens to scores (B, K), in evaluation mode.
        tokens: int64 (B, T), padding 0.
        steps: of the path; more are more exact.

    Raises:
        UserError: the net gives no scores of whole texts, or reads its tokens through no embedding.
    """
    needed = [one for one in signature(net.forward).parameters.values() if one.default is one.empty]
    with torch.no_grad():
        scores = net(tokens) if len(needed) == 1 else None  # some write, and want to know what is written so far
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        raise UserError(f"explain=true is for nets that score whole texts; {type(net).__name__} does not")
    column = scores.argmax(dim=1)  # (B,)
    if (weights := attention_of(net, tokens)) is not None:
        beside = integrated_gradients(net, tokens, column, steps) if embeddings_of(net) else None
        return Explanation(weights.mean(dim=1), "attention weights", column, beside)
    return Explanation(integrated_gradients(net, tokens, column, steps), GRADIENTS, column)


def integrated_gradients(net: nn.Module, tokens: Tensor, column: Tensor, steps: int = STEPS) -> Tensor:
    """Return the credit of each token for the score in `column` (B,), float32 (B, T)."""
    embeddings = embeddings_of(net)
    if not embeddings:
        raise UserError(
            f"explain=true needs a net that reads words through an embedding; {type(net).__name__} has none"
        )
    credit = torch.zeros(tokens.shape, device=tokens.device)
    rows = torch.arange(len(tokens), device=tokens.device)
    # On a GPU torch's own recurrent layers compute gradients in training mode only, unless cuDNN is off.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for step in range(steps):
            with shrunk(embeddings, (step + 0.5) / steps) as looked_up:
                score = net(tokens)[rows, column].sum()
            grads = torch.autograd.grad(score, [each.shrunk for each in looked_up], allow_unused=True)
            for each, grad in zip(looked_up, grads, strict=True):
                if grad is not None:
                    credit += by_token(each, grad, tokens.size(1)) / steps
    return credit.masked_fill(tokens == 0, 0.0)


def embeddings_of(net: nn.Module) -> list[nn.Module]:
    """Return the modules through which a net reads tokens."""
    return [module for module in net.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)]


class LookedUp(NamedTuple):
    """One call of an embedding: the module, its input, its full answer, and the reduced answer it gave instead."""

    module: nn.Module
    asked: Tensor
    whole: Tensor
    shrunk: Tensor


@contextmanager
def shrunk(embeddings: Sequence[nn.Module], share: float) -> Iterator[list["LookedUp"]]:
    """Let embeddings answer with a share of their vectors, 0 .. 1; yield the list of their calls."""
    calls: list[LookedUp] = []

    def answer(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        less = (output.detach() * share).requires_grad_()
        calls.append(LookedUp(module, inputs[0], output.detach(), less))
        return less

    hooks = [module.register_forward_hook(answer) for module in embeddings]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def by_token(call: LookedUp, grad: Tensor, length: int) -> Tensor:
    """Divide the credit of a call among the tokens of the texts, (B, length)."""
    if isinstance(call.module, nn.EmbeddingBag):
        padding = -1 if call.module.padding_idx is None else call.module.padding_idx
        real = call.asked != padding  # (B, T)
        vectors = F.embedding(call.asked, call.module.weight.detach())  # (B, T, E)
        worth = (vectors * grad.unsqueeze(1)).sum(dim=2) * real  # (B, T)
        if call.module.mode == "mean":
            worth = worth / real.sum(dim=1, keepdim=True).clamp(min=1)
    else:
        worth = (call.whole * grad).sum(dim=-1)  # of the same shape as the input: (B, T ...)
        worth = worth.reshape(len(worth), worth.size(1), -1).sum(dim=2)
    span = getattr(call.module, "span", 1)  # an n-gram is placed at its last word and shared by all of its words
    worth = F.pad(worth, (0, max(length + span - 1 - worth.size(1), 0)))
    return torch.stack([worth[:, back : back + length] for back in range(span)]).sum(dim=0) / span
