"""Attention: how well a query fits each key, and the mean of what was read, weighted by it.

Sources of the scores: dot, general, location, and the local windows: Luong, Pham and Manning 2015, arXiv:1508.04025,
section 3; additive: Bahdanau, Cho and Bengio 2015, arXiv:1409.0473, appendix A.1.2; cosine: Graves, Wayne and Danihelka
2014, arXiv:1410.5401, section 3.3.1; scaled_dot: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1.

Shape letters: B batch, T queries (target tokens), S keys (source tokens), Q numbers of a query, K numbers of a key,
A numbers that the additive score compares.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.ranges import check_choice, check_size

ScoreName = Literal["dot", "scaled_dot", "cosine", "general", "additive", "location"]
WindowName = Literal["global", "local-m", "local-p"]
HIDDEN = -1e9  # the score of what must not be looked at; a row without anything to look at still gives finite weights


class Score(nn.Module):
    """How well queries fit keys. A subclass writes `forward`, `build` if it has weights, `prepare` to work ahead.

    Args:
        query_dim: numbers Q of a query.
        key_dim: numbers K of a key.
        max_len: keys of a row at most; only `Location` needs to know.

    Raises:
        ValueError: the score cannot compare queries and keys of these lengths.
    """

    def __init__(self, query_dim: int, key_dim: int, max_len: int):
        super().__init__()
        self.build(query_dim, key_dim, max_len)

    def build(self, query_dim: int, key_dim: int, max_len: int) -> None:
        """Make the weights."""

    def prepare(self, keys: Tensor) -> Tensor:
        """What is computed from the keys (B, S, K) only once, however many queries follow."""
        return keys

    def forward(self, query: Tensor, prepared: Tensor) -> Tensor:
        """Queries (B, T, Q) and what `prepare` returned to scores (B, T, S)."""
        return query @ prepared.transpose(1, 2)


class Dot(Score):
    """q . k, for queries and keys of one length."""

    def build(self, query_dim: int, key_dim: int, max_len: int) -> None:
        if query_dim != key_dim:
            raise ValueError(
                f"this score needs decoder and encoder states of one length, received {query_dim} and {key_dim}: "
                "choose score=general or score=additive, or make them equal"
            )


class ScaledDot(Dot):
    """q . k / sqrt(K)."""

    def forward(self, query: Tensor, prepared: Tensor) -> Tensor:
        return super().forward(query, prepared) / query.size(2) ** 0.5


class Cosine(Dot):
    """b cos(q, k) with a trained strength b above 0: without it no weight could be far from the others."""

    def build(self, query_dim: int, key_dim: int, max_len: int) -> None:
        super().build(query_dim, key_dim, max_len)
        self.strength = nn.Parameter(torch.tensor(5.0))  # of softplus: b

    def prepare(self, keys: Tensor) -> Tensor:
        return F.normalize(keys, dim=2)

    def forward(self, query: Tensor, prepared: Tensor) -> Tensor:
        return F.softplus(self.strength) * super().forward(F.normalize(query, dim=2), prepared)


class General(Score):
    """q W k."""

    def build(self, query_dim: int, key_dim: int, max_len: int) -> None:
        self.weight = nn.Linear(key_dim, query_dim, bias=False)

    def prepare(self, keys: Tensor) -> Tensor:
        return self.weight(keys)  # (B, S, Q)


class Additive(Score):
    """v tanh(W q + U k), with as many numbers A as a query has."""

    def build(self, query_dim: int, key_dim: int, max_len: int) -> None:
        self.of_query = nn.Linear(query_dim, query_dim, bias=False)
        self.of_key = nn.Linear(key_dim, query_dim)
        self.weight = nn.Linear(query_dim, 1, bias=False)

    def prepare(self, keys: Tensor) -> Tensor:
        return self.of_key(keys)  # (B, S, A)

    def forward(self, query: Tensor, prepared: Tensor) -> Tensor:
        both = self.of_query(query).unsqueeze(2) + prepared.unsqueeze(1)  # (B, T, S, A)
        return self.weight(torch.tanh(both)).squeeze(3)


class Location(Score):
    """W q: one score for each place of the source, whatever stands there."""

    def build(self, query_dim: int, key_dim: int, max_len: int) -> None:
        self.weight = nn.Linear(query_dim, max_len, bias=False)

    def forward(self, query: Tensor, prepared: Tensor) -> Tensor:
        scores = self.weight(query)  # (B, T, max_len)
        beyond = prepared.size(1) - scores.size(2)  # places that training could not see
        return F.pad(scores, (0, max(beyond, 0)), value=HIDDEN)[:, :, : prepared.size(1)]


SCORES: dict[str, type[Score]] = {
    "dot": Dot,
    "scaled_dot": ScaledDot,
    "cosine": Cosine,
    "general": General,
    "additive": Additive,
    "location": Location,
}


class Attention(nn.Module):
    """Looks at the keys of a row with each query.

    Args:
        query_dim: numbers Q of a query.
        key_dim: numbers K of a key.
        score: how a query is compared with a key: dot, scaled_dot, cosine, general, additive or location.
        window: global = all keys; local-m = those around the place of the query itself; local-p = those around a place
            that the query chooses, nearer ones counting more.
        width: keys on either side of the middle of a local window, at least 1.
        max_len: keys of a row at most; only score=location needs to know.

    Raises:
        ValueError: an unknown score or window, a width below 1, or a score that cannot compare these lengths.
    """

    def __init__(
        self,
        query_dim: int,
        key_dim: int,
        score: ScoreName = "dot",
        window: WindowName = "global",
        width: int = 5,
        max_len: int = 100,
    ):
        super().__init__()
        check_choice(SCORES, score=score)
        check_choice(("global", "local-m", "local-p"), window=window)
        check_size(width=width, max_len=max_len)
        self.score = SCORES[score](query_dim, key_dim, max_len)
        self.window, self.width = window, width
        self.place = None
        if window == "local-p":
            self.place = nn.Sequential(
                nn.Linear(query_dim, query_dim, bias=False), nn.Tanh(), nn.Linear(query_dim, 1, bias=False)
            )

    def prepare(self, keys: Tensor) -> Tensor:
        """What is computed from the keys (B, S, K) only once."""
        return self.score.prepare(keys)

    def weights(self, query: Tensor, prepared: Tensor, mask: Tensor, step: Tensor) -> Tensor:
        """How much each key counts for each query, (B, T, S).

        Args:
            query: (B, T, Q).
            prepared: what `prepare` returned.
            mask: real keys (B, S), True = keep.
            step: place of each query in its own row, int64 (B, T); only local-m looks at it.
        """
        scores, real = self.score(query, prepared), mask.unsqueeze(1)  # (B, T, S), (B, 1, S)
        if self.window == "global":
            return scores.masked_fill(~real, HIDDEN).softmax(dim=2) * real
        last = mask.sum(dim=1).clamp(min=1).view(-1, 1, 1) - 1  # (B, 1, 1): place of the last key
        if self.place is None:
            middle = torch.minimum(step.unsqueeze(2), last)  # (B, T, 1)
        else:
            middle = last * torch.sigmoid(self.place(query))
        away = torch.arange(mask.size(1), device=mask.device) - middle  # (B, T, S)
        inside = real & (away.abs() <= self.width)
        weights = scores.masked_fill(~inside, HIDDEN).softmax(dim=2) * inside
        return weights if self.place is None else weights * torch.exp(-2 * (away / self.width) ** 2)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (B, T, Q), keys (B, S, K), mask (B, S) to what was looked at (B, T, K) and the weights (B, T, S)."""
        step = torch.arange(query.size(1), device=query.device).expand(query.shape[:2])
        weights = self.weights(query, self.prepare(keys), mask, step)
        return weights @ keys, weights
