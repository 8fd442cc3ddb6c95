"""From the outputs of all steps to one vector for each row: last, mean, max, attention.

Attention: one learned query over the outputs, Yang et al., Hierarchical Attention Networks for Document
Classification, NAACL 2016, equations 5 to 7; several of them: Lin et al., A Structured Self-attentive Sentence
Embedding, ICLR 2017, arXiv:1703.03130, equation 6.

Shape letters: B batch, T steps, D numbers of an output, A numbers that attention compares, R hops (queries).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from runner.models.ranges import check_choice, check_size

PoolName = Literal["last", "mean", "max", "attention"]


class Attending(nn.Sequential):
    """How much each step of a row counts, for one learned query or for several.

    Args:
        input_dim: D, numbers of an output.
        attention_dim: A, numbers the outputs are turned into before they are compared with a query.
        hops: R, queries.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, input_dim: int, attention_dim: int = 100, hops: int = 1):
        check_size(attention_dim=attention_dim, hops=hops)
        queries = nn.Linear(attention_dim, hops, bias=False)  # a constant would change nothing in the softmax
        super().__init__(nn.Linear(input_dim, attention_dim), nn.Tanh(), queries)

    def forward(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Outputs (B, T, D) and a mask (B, T), True = keep, to weights (B, R, T), which add up to 1 over the steps."""
        scores = super().forward(outputs).transpose(1, 2)  # (B, R, T)
        return (scores if mask is None else scores.masked_fill(~mask.unsqueeze(1), float("-inf"))).softmax(dim=2)


class Pooling(nn.Module):
    """One vector for each row; steps that are not part of the row do not count.

    Args:
        pool: last, mean, max or attention.
        input_dim: D, numbers of an output.
        attention_dim: A, numbers the outputs are turned into before they are compared with the query.

    Raises:
        ValueError: an unknown pool.
    """

    def __init__(self, pool: PoolName, input_dim: int, attention_dim: int = 100):
        super().__init__()
        check_choice(("last", "mean", "max", "attention"), pool=pool)
        self.pool = pool
        self.score = Attending(input_dim, attention_dim) if pool == "attention" else None

    def forward(self, outputs: Tensor, last: Tensor, mask: Tensor | None = None) -> Tensor:
        """Outputs (B, T, D), the last of each row (B, D) and a mask (B, T), True = keep, to (B, D)."""
        if self.pool == "last":
            return last
        if self.score is not None:
            return torch.einsum("bt,btd->bd", self.weights(outputs, mask), outputs)
        if self.pool == "max":
            return outputs.amax(dim=1) if mask is None else masked(outputs, mask, float("-inf")).amax(dim=1)
        if mask is None:
            return outputs.mean(dim=1)
        return masked(outputs, mask, 0.0).sum(dim=1) / mask.sum(dim=1, keepdim=True)

    def weights(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """How much each step counts for attention, (B, T); the weights of a row add up to 1."""
        assert self.score is not None, "only attention has weights"
        return self.score(outputs, mask).squeeze(1)


def masked(outputs: Tensor, mask: Tensor, value: float) -> Tensor:
    """Outputs (B, T, D) with this value where the mask (B, T) is False."""
    return outputs.masked_fill(~mask.unsqueeze(2), value)


def real_steps(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths (B,) and mask (B, T) of tokens, int64 (B, T): a row ends with its last token that is not padding.

    A row of padding alone counts as one step, so that there is something to pool.
    """
    place = torch.arange(1, tokens.size(1) + 1, device=tokens.device)  # (T,)
    lengths = torch.where(tokens != 0, place, 1).amax(dim=1)  # (B,)
    return lengths, place <= lengths.unsqueeze(1)
