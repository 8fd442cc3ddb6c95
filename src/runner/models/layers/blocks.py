"""The block of a Transformer: every token looks at others with several heads, then thinks for itself.

Sources: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762; the norm before instead of after a layer,
Xiong et al. 2020, arXiv:2002.04745; GELU, Hendrycks and Gimpel 2016, arXiv:1606.08415; SwiGLU, Shazeer 2020,
arXiv:2002.05202; RMSNorm, Zhang and Sennrich 2019, arXiv:1910.07467; groups of heads that share keys and values,
Ainslie et al. 2023, arXiv:2305.13245; computing blocks again instead of keeping what they said, Chen et al. 2016,
arXiv:1604.06174.

Shape letters: B batch, T tokens that ask, S tokens that are looked at, E width, N heads, G heads of keys and values,
D = E / N numbers of a head, F width of the feed-forward layer.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from runner.models.layers.positions import Turn, turned
from runner.models.ranges import check_choice, check_share, check_size

ActivationName = Literal["relu", "gelu", "swiglu"]
NormName = Literal["layer", "rms"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "swiglu": F.silu}
NORMS: dict[str, Any] = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}
EPS = 1e-5  # of the norms
KeysValues = tuple[Tensor, Tensor]  # of what is looked at, (B, G, S, D) each


class Sight(NamedTuple):
    """What tokens may look at: all; what the mask (B, 1, T or 1, S) says, True = keep; or what stands before them.

    `turn` is how rotary positions turn queries and keys. `place`, int64 (B,), is where a single token stands, which is
    added to what was read before it.
    """

    mask: Tensor | None = None
    causal: bool = False
    turn: Turn | None = None
    place: Tensor | None = None


class MultiHeadAttention(nn.Module):
    """Each token asks, in N heads, what it wants to know of others.

    Args:
        embed_dim: width E.
        num_heads: heads N, which divide E.
        num_kv_heads: heads G of keys and values, which divide N; None = N.
        bias: whether the linear layers have constants.

    Raises:
        ValueError: a size below 1, or heads that do not divide.
    """

    def __init__(self, embed_dim: int, num_heads: int, num_kv_heads: int | None = None, bias: bool = True):
        super().__init__()
        groups = num_heads if num_kv_heads is None else num_kv_heads
        check_size(embed_dim=embed_dim, num_heads=num_heads, num_kv_heads=groups)
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim must be a multiple of num_heads={num_heads}, received {embed_dim}")
        if num_heads % groups:
            raise ValueError(f"num_heads must be a multiple of num_kv_heads={groups}, received {num_heads}")
        self.num_heads, self.groups, self.head_dim = num_heads, groups, embed_dim // num_heads
        self.query = nn.Linear(embed_dim, embed_dim, bias)
        self.key_value = nn.Linear(embed_dim, 2 * groups * self.head_dim, bias)
        self.output = nn.Linear(embed_dim, embed_dim, bias)

    def read(self, x: Tensor, turn: Turn | None = None) -> KeysValues:
        """What is looked at (B, S, E) to its keys and values."""
        both = self.key_value(x).unflatten(2, (2 * self.groups, self.head_dim))  # (B, S, 2G, D)
        keys, values = both.transpose(1, 2).chunk(2, dim=1)  # (B, G, S, D) each
        return turned(keys, turn), values

    def ask(self, x: Tensor, turn: Turn | None = None) -> Tensor:
        """Tokens (B, T, E) to their queries (B, N, T, D)."""
        return turned(self.query(x).unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2), turn)

    def forward(self, x: Tensor, seen: KeysValues, sight: Sight) -> Tensor:
        """Tokens (B, T, E) and what they look at to what they found, (B, T, E): softmax(q k / sqrt(D)) v."""
        shared = self.groups < self.num_heads
        heads = F.scaled_dot_product_attention(
            self.ask(x, sight.turn), *seen, attn_mask=sight.mask, is_causal=sight.causal, enable_gqa=shared
        )  # (B, N, T, D)
        return self.output(heads.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, seen: KeysValues, sight: Sight) -> Tensor:
        """How much tokens (B, T, E) look at each other one, mean of the heads, (B, T, S); the mask is heeded."""
        keys = seen[0].repeat_interleave(self.num_heads // self.groups, dim=1)  # (B, N, S, D)
        scores = self.ask(x, sight.turn) @ keys.transpose(2, 3) / math.sqrt(self.head_dim)  # (B, N, T, S)
        if sight.mask is not None:
            scores = scores.masked_fill(~sight.mask, -math.inf)
        return scores.softmax(dim=3).mean(dim=1)


class FeedForward(nn.Module):
    """Two layers for each token by itself: E to F and back.

    Args:
        embed_dim: width E.
        hidden_dim: width F.
        activation: relu, gelu, or swiglu (a third layer opens and closes the units).
        bias: whether the linear layers have constants.
    """

    def __init__(self, embed_dim: int, hidden_dim: int, activation: ActivationName = "relu", bias: bool = True):
        super().__init__()
        check_size(hidden_dim=hidden_dim)
        check_choice(ACTIVATIONS, activation=activation)
        self.activation = ACTIVATIONS[activation]
        self.inner = nn.Linear(embed_dim, hidden_dim, bias)
        self.gate = nn.Linear(embed_dim, hidden_dim, bias) if activation == "swiglu" else None
        self.output = nn.Linear(hidden_dim, embed_dim, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, T, E) to (B, T, E)."""
        inner = self.inner(x)  # (B, T, F)
        return self.output(self.activation(inner) if self.gate is None else self.activation(self.gate(x)) * inner)


class Shape(NamedTuple):
    """What all blocks of a net have in common.

    Args:
        embed_dim: width E.
        num_heads: heads N.
        hidden_dim: width F of the feed-forward layer.
        dropout: share of what each layer adds that is dropped in training.
        activation: relu, gelu or swiglu.
        norm: layer or rms.
        pre_norm: whether a layer reads normed tokens; False = their sum with what it says is normed.
        num_kv_heads: heads G of keys and values; None = N.
        bias: whether the linear layers and the norms have constants.
        eps: what the norms add to the variance.
    """

    embed_dim: int
    num_heads: int
    hidden_dim: int
    dropout: float = 0.0
    activation: ActivationName = "relu"
    norm: NormName = "layer"
    pre_norm: bool = False
    num_kv_heads: int | None = None
    bias: bool = True
    eps: float = EPS

    def attention(self) -> MultiHeadAttention:
        return MultiHeadAttention(self.embed_dim, self.num_heads, self.num_kv_heads, self.bias)

    def new_norm(self) -> nn.Module:
        check_choice(NORMS, norm=self.norm)
        plain = {} if self.bias or self.norm == "rms" else {"bias": False}
        return NORMS[self.norm](self.embed_dim, self.eps, **plain)


class Residual(nn.Module):
    """What stands around a layer: its input is added to what it says, and one of the two is normed.

    Args:
        shape: of the block.
    """

    def __init__(self, shape: Shape):
        super().__init__()
        check_share(dropout=shape.dropout)
        self.norm, self.dropout, self.pre_norm = shape.new_norm(), shape.dropout, shape.pre_norm

    def before(self, x: Tensor) -> Tensor:
        """What the layer reads."""
        return self.norm(x) if self.pre_norm else x

    def after(self, x: Tensor, said: Tensor) -> Tensor:
        """What the next layer gets."""
        total = x + F.dropout(said, self.dropout, self.training)
        return total if self.pre_norm else self.norm(total)


class Block(nn.Module):
    """Tokens look at each other, then each thinks for itself.

    Args:
        shape: of this and all other blocks of the net.
    """

    def __init__(self, shape: Shape):
        super().__init__()
        self.attention = shape.attention()
        self.around_attention = Residual(shape)
        self.feed_forward = FeedForward(shape.embed_dim, shape.hidden_dim, shape.activation, shape.bias)
        self.around_feed_forward = Residual(shape)

    def forward(self, x: Tensor, sight: Sight, before: KeysValues | None = None) -> tuple[Tensor, KeysValues]:
        """Tokens (B, T, E), and keys and values of those before them, to (B, T, E) and keys and values of all."""
        x, seen = self.look(x, sight, before)
        return self.think(x), seen

    def look(self, x: Tensor, sight: Sight, before: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """The first half: attention."""
        asking = self.around_attention.before(x)  # (B, T, E)
        seen = self.attention.read(asking, sight.turn)
        if before is not None:
            assert sight.place is not None, "a token that follows others has a place"
            seen = extended(before[0], seen[0], sight.place), extended(before[1], seen[1], sight.place)
        return self.around_attention.after(x, self.attention(asking, seen, sight)), seen

    def think(self, x: Tensor) -> Tensor:
        """The second half: the feed-forward layer."""
        return self.around_feed_forward.after(x, self.feed_forward(self.around_feed_forward.before(x)))


def extended(before: Tensor, new: Tensor, place: Tensor) -> Tensor:
    """Keys or values (B, G, S, D) with those of one more token (B, G, 1, D) at its place (B,): (B, G, S + 1, D)."""
    where = place.view(-1, 1, 1, 1).expand_as(new)
    return F.pad(before, (0, 0, 0, 1)).scatter(2, where, new)


def up_to(place: Tensor, length: int) -> Tensor:
    """The mask of one token for each row, which stands at its place (B,) among `length`: (B, 1, 1, length)."""
    return (torch.arange(length, device=place.device) <= place.unsqueeze(1)).unflatten(1, (1, 1, length))


def through(block: nn.Module, again: bool, *inputs: Any) -> Any:
    """What a block says; with `again` it keeps nothing for the backward pass and is computed a second time there."""
    return checkpoint(block, *inputs, use_reentrant=False) if again and block.training else block(*inputs)
