"""From the outputs of all steps to one vector for each row: last, mean, max, attention.

Attention: one learned query over the outputs, Yang et al., Hierarchical Attention Networks for Document
Classification, NAACL 2016, equations 5 to 7.

Shape letters: B batch, T steps, D numbers of an output, A numbers that attention compares.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from runner.models.ranges import check_choice

PoolName = Literal["last", "mean", "max", "attention"]


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
        self.score = None
        if pool == "attention":
            query = nn.Linear(attention_dim, 1, bias=False)  # a constant would change nothing in the softmax
            self.score = nn.Sequential(nn.Linear(input_dim, attention_dim), nn.Tanh(), query)

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
        scores = self.score(outputs).squeeze(2)  # (B, T)
        return (scores if mask is None else scores.masked_fill(~mask, float("-inf"))).softmax(dim=1)


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
