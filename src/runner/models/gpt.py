"""GPT: a Transformer that reads from left to right and says, at every place, what comes next.

Sources: Radford et al., Language Models are Unsupervised Multitask Learners, 2019 (GPT-2: the norm before each layer,
learned positions, GELU, tied weights, smaller initial weights where blocks add to the sum); Touvron et al., LLaMA,
2023, arXiv:2302.13971 (rotary positions, RMSNorm, SwiGLU, no constants); Ainslie et al. 2023, arXiv:2305.13245 (groups
of heads share keys and values). Departure: dropout of token vectors and of what each layer adds, not of attention
weights.

Shape letters: B batch, T tokens, S tokens read before, V vocabulary, E width, G heads of keys and values, D numbers of
a head, L blocks.
"""

import math
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.blocks import ActivationName, Block, KeysValues, NormName, Shape, Sight, through, up_to
from runner.models.layers.hub_layouts import Layout, gpt_layout
from runner.models.layers.pooling import real_steps
from runner.models.layers.positions import Learned, turn
from runner.models.ranges import check_choice, check_size

BEGIN = 0.02  # standard deviation of the initial weights


class TextSoFar(NamedTuple):
    """The texts so far (B, S), how many tokens each has (B,), and keys and values of each block, (B, G, S, D)."""

    tokens: Tensor
    length: Tensor
    blocks: tuple[KeysValues, ...]


class GPT(nn.Module):
    """Logits of the next token at every place of a text.

    A text that fills the window goes on from the last half of it, which is read again from its first place on.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        max_len: tokens of the window: how far back the net looks.
        embed_dim: width E, a multiple of num_heads.
        num_heads: heads of attention.
        num_layers: blocks L.
        num_kv_heads: heads of keys and values, of which num_heads is a multiple; None = as many as heads.
        hidden_dim: width of the feed-forward layer in a block; None = 4 E, with swiglu 8/3 E (as many weights).
        positions: learned or rotary.
        activation: gelu, relu or swiglu.
        norm: layer or rms.
        bias: whether linear layers and norms have constants.
        tied: whether the output layer has the token vectors as its weights.
        dropout: share of the token vectors, and of what each layer adds, dropped in training, in [0, 1).
        checkpointing: whether blocks are computed again in the backward pass, which saves memory and costs time.

    Raises:
        ValueError: a size below 1, heads that do not divide, an unknown choice, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        max_len: int = 64,
        embed_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 4,
        num_kv_heads: int | None = None,
        hidden_dim: int | None = None,
        positions: Literal["learned", "rotary"] = "learned",
        activation: ActivationName = "gelu",
        norm: NormName = "layer",
        bias: bool = True,
        tied: bool = True,
        dropout: float = 0.0,
        checkpointing: bool = False,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, max_len=max_len, num_layers=num_layers)
        check_choice(("learned", "rotary"), positions=positions)
        if hidden_dim is None:
            hidden_dim = 8 * embed_dim // 3 if activation == "swiglu" else 4 * embed_dim
        shape = Shape(embed_dim, num_heads, hidden_dim, dropout, activation, norm, True, num_kv_heads, bias)
        self.max_len, self.head_dim, self.dropout = max_len, embed_dim // num_heads, dropout
        self.checkpointing = checkpointing
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.positions = Learned(max_len, embed_dim) if positions == "learned" else None
        self.blocks = nn.ModuleList(Block(shape) for _ in range(num_layers))
        self.norm = shape.new_norm()
        self.output = nn.Linear(embed_dim, vocab_size, bias=False)
        if tied:
            self.output.weight = self.embedding.weight
        self.begin()

    def begin(self) -> None:
        """Draw the weights; what blocks add to the sum is smaller the more blocks there are."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                adds = name.endswith(("attention.output.weight", "feed_forward.output.weight"))
                nn.init.normal_(parameter, std=BEGIN / math.sqrt(2 * len(self.blocks)) if adds else BEGIN)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay is for matrices, not for norms and constants."""
        return [{"params": [each for each in self.parameters() if each.ndim < 2], "weight_decay": 0.0}]

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T), to logits of the token after each, (B, T, V)."""
        place = torch.arange(tokens.size(1), device=tokens.device)  # (T,)
        x = self.embedded(tokens, place)  # (B, T, E)
        sight = Sight(causal=True, turn=self.turn(place))
        for block in self.blocks:
            x, _ = through(block, self.checkpointing, x, sight)  # (B, T, E)
        return self.output(self.norm(x))  # (B, T, V)

    # Writing, a token at a time: keys and values of what has been read are kept.

    def start(self, tokens: Tensor) -> TextSoFar:
        """Read prompts, int64 (B, T) with padding 0 at the end, but for the last token of each: `step` reads that."""
        return self.read_anew(tokens, real_steps(tokens)[0] - 1)

    def read_anew(self, tokens: Tensor, length: Tensor) -> TextSoFar:
        """Read as many tokens (B, T) of each text as it has, (B,); of texts that fill the window only the last ones."""
        kept = torch.where(length < self.max_len, length, self.max_len // 2)  # (B,)
        place = torch.arange(int(kept.max()), device=tokens.device)  # (S,)
        first = (length - kept).unsqueeze(1)  # (B, 1)
        tokens = tokens.gather(1, (first + place).clamp(max=tokens.size(1) - 1))  # (B, S)
        x, blocks = self.embedded(tokens, place), []
        sight = Sight(causal=True, turn=self.turn(place))
        for block in self.blocks:
            x, seen = block(x, sight)
            blocks.append(seen)
        return TextSoFar(tokens, kept, tuple(blocks))

    def step(self, token: Tensor, state: TextSoFar) -> tuple[Tensor, TextSoFar]:
        """Read one more token, int64 (B,): logits of the next one, (B, V), and the state after it."""
        if state.tokens.size(1) >= self.max_len:
            state = self.read_anew(state.tokens, state.length)
        place = state.length  # (B,)
        tokens = F.pad(state.tokens, (0, 1)).scatter(1, place.unsqueeze(1), token.unsqueeze(1))  # (B, S + 1)
        x, blocks = self.embedded(token.unsqueeze(1), place.unsqueeze(1)), []  # (B, 1, E)
        sight = Sight(up_to(place, tokens.size(1)), turn=self.turn(place.view(-1, 1, 1)), place=place)
        for block, before in zip(self.blocks, state.blocks, strict=True):
            x, seen = block(x, sight, before)  # (B, 1, E); (B, G, S + 1, D) each
            blocks.append(seen)
        return self.output(self.norm(x)).squeeze(1), TextSoFar(tokens, place + 1, tuple(blocks))

    def embedded(self, tokens: Tensor, place: Tensor) -> Tensor:
        """Vectors (B, T, E) of tokens (B, T) and, where they are learned, of their places (T,) or (B, T)."""
        x = self.embedding(tokens)
        if self.positions is not None:
            x = x + self.positions(place)
        return F.dropout(x, self.dropout, self.training)

    def turn(self, place: Tensor) -> tuple[Tensor, Tensor] | None:
        """How rotary positions turn the heads of tokens at these places (..., T)."""
        return turn(place, self.head_dim) if self.positions is None else None

    def hub_layout(self) -> Layout:
        """This net in the words of the package transformers.

        Raises:
            ValueError: they have no net of these settings.
        """
        return gpt_layout(self)
