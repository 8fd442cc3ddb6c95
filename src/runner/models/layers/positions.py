"""Where a token stands, for nets that would otherwise not know the order of their tokens.

Sources: sinusoidal, Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, section 3.5; rotary, Su et al.,
RoFormer, 2021, arXiv:2104.09864, with the numbers of a pair half a head apart, as in Llama.

Shape letters: B batch, T tokens, E width, D numbers of a head.
"""

from typing import Literal

import torch
from torch import Tensor, nn

PositionName = Literal["learned", "sinusoidal"]
Turn = tuple[Tensor, Tensor]  # cosine and sine of what a head is turned by, (..., T, D) each
BASE = 10_000.0  # the slowest wave is about that many times 2 pi tokens long


class Learned(nn.Embedding):
    """A trained vector for each place; those beyond the last one share its vector.

    Args:
        max_len: places.
        embed_dim: width E.
    """

    def __init__(self, max_len: int, embed_dim: int):
        super().__init__(max_len, embed_dim)
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, place: Tensor) -> Tensor:
        """Places, int64 (...), to vectors (..., E)."""
        return super().forward(place.clamp(max=self.num_embeddings - 1))


class Sinusoidal(nn.Module):
    """Sines and cosines of falling frequency: a shift of the place turns each pair of them by the same angle.

    Args:
        max_len: no limit; only `Learned` has one.
        embed_dim: width E, even.
    """

    def __init__(self, max_len: int, embed_dim: int):
        super().__init__()
        self.embed_dim = embed_dim

    def forward(self, place: Tensor) -> Tensor:
        """Places, int64 (...), to vectors (..., E)."""
        angle = angles(place, self.embed_dim)  # (..., E / 2)
        return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


POSITIONS: dict[str, type[Learned | Sinusoidal]] = {"learned": Learned, "sinusoidal": Sinusoidal}


def angles(place: Tensor, width: int) -> Tensor:
    """Places (...) to the angles of half as many waves as a vector has numbers, (..., width / 2)."""
    if width % 2:
        raise ValueError(f"sines and cosines come in pairs: the width must be even, received {width}")
    wave = torch.arange(0, width, 2, device=place.device) / width
    return place.unsqueeze(-1) * BASE**-wave


def turn(place: Tensor, width: int) -> Turn:
    """What `turned` needs to know of places (..., T)."""
    angle = torch.cat([angles(place, width)] * 2, dim=-1)  # (..., T, D)
    return angle.cos(), angle.sin()


def turned(heads: Tensor, by: Turn | None) -> Tensor:
    """Queries or keys (B, N, T, D), each pair of numbers turned: a product depends on the distance of the places."""
    if by is None:
        return heads
    cosine, sine = (part.to(heads.dtype) for part in by)
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat([-second, first], dim=-1) * sine
