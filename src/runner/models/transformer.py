"""The Transformer: an encoder reads the source; a decoder writes the target and looks back at it in every block.

Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, Attention Is All You Need, NIPS 2017,
arXiv:1706.03762. Departures: the two vocabularies have vectors of their own, and the norm may stand before a layer.

Shape letters: B batch, S source tokens, T target tokens, V target vocabulary, E width, N heads, D = E / N.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.blocks import Block, KeysValues, Residual, Shape, Sight, through, up_to
from runner.models.layers.pooling import real_steps
from runner.models.layers.positions import POSITIONS, PositionName
from runner.models.ranges import check_choice, check_size


class DecoderBlock(Block):
    """Target tokens look at those before them, then at the source, then each thinks for itself.

    Args:
        shape: of this and all other blocks of the net.
    """

    def __init__(self, shape: Shape):
        super().__init__(shape)
        self.at_source = shape.attention()
        self.around_source = Residual(shape)

    def forward(  # type: ignore[override]
        self, x: Tensor, sight: Sight, source: KeysValues, at_source: Sight, before: KeysValues | None = None
    ) -> tuple[Tensor, KeysValues, Tensor]:
        """Target tokens (B, T, E) and the source's keys and values (B, N, S, D).

        Returns:
            (B, T, E); keys and values of the target tokens so far; how much the last one looked at the source, (B, S).
        """
        x, seen = self.look(x, sight, before)
        asking = self.around_source.before(x)  # (B, T, E)
        looked = self.at_source.weights(asking[:, -1:], source, at_source).squeeze(1)  # (B, S)
        x = self.around_source.after(x, self.at_source(asking, source, at_source))
        return self.think(x), seen, looked


class Translating(NamedTuple):
    """The source's keys and values in each block, its mask (B, 1, 1, S), those of the target tokens so far, how many
    they are (B,), and how much the last one looked at each source token (B, S)."""

    source: tuple[KeysValues, ...]
    mask: Tensor
    blocks: tuple[KeysValues, ...]
    place: Tensor
    looked: Tensor


class Transformer(nn.Module):
    """Logits of each next target token, from a source and the target so far.

    Args:
        src_vocab_size: tokens of the source's vocabulary, padding (0) included.
        tgt_vocab_size: tokens V of the target's vocabulary, padding (0) included.
        max_len: tokens of a source at most; only learned positions need to know.
        tgt_max_len: tokens of a target at most; only learned positions need to know.
        embed_dim: width E, a multiple of num_heads.
        num_heads: heads N of attention.
        num_layers: blocks of the encoder and of the decoder.
        hidden_dim: width of the feed-forward layer in a block.
        positions: sinusoidal or learned.
        pre_norm: whether a layer reads normed tokens; False = as in the paper, their sum with what it says is normed.
        tied: whether the output layer has the vectors of the target tokens as its weights.
        dropout: share of the token vectors, and of what each layer adds, dropped in training, in [0, 1).
        checkpointing: whether blocks are computed again in the backward pass, which saves memory and costs time.

    Raises:
        ValueError: a size below 1, heads that do not divide, an unknown choice, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        src_vocab_size: int,
        tgt_vocab_size: int,
        max_len: int = 50,
        tgt_max_len: int = 50,
        embed_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 3,
        hidden_dim: int = 512,
        positions: PositionName = "sinusoidal",
        pre_norm: bool = False,
        tied: bool = True,
        dropout: float = 0.1,
        checkpointing: bool = False,
    ):
        super().__init__()
        check_size(max_len=max_len, tgt_max_len=tgt_max_len, num_layers=num_layers)
        check_choice(POSITIONS, positions=positions)
        shape = Shape(embed_dim, num_heads, hidden_dim, dropout, pre_norm=pre_norm)
        self.dropout, self.checkpointing, self.scale = dropout, checkpointing, math.sqrt(embed_dim)
        self.src_embedding = nn.Embedding(src_vocab_size, embed_dim)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, embed_dim)
        self.src_positions = POSITIONS[positions](max_len, embed_dim)
        self.tgt_positions = POSITIONS[positions](tgt_max_len, embed_dim)
        self.encoder = nn.ModuleList(Block(shape) for _ in range(num_layers))
        self.decoder = nn.ModuleList(DecoderBlock(shape) for _ in range(num_layers))
        self.src_norm = shape.new_norm() if pre_norm else nn.Identity()
        self.tgt_norm = shape.new_norm() if pre_norm else nn.Identity()
        self.output = nn.Linear(embed_dim, tgt_vocab_size, bias=False)
        for block in (*self.encoder, *self.decoder):
            for parameter in block.parameters():
                if parameter.ndim > 1:
                    nn.init.xavier_uniform_(parameter)
        for table in (self.src_embedding, self.tgt_embedding):
            nn.init.normal_(table.weight, std=1 / self.scale)
        if tied:
            self.output.weight = self.tgt_embedding.weight

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """Source (B, S) and target so far (B, T), int64, to logits of the token after each, (B, T, V)."""
        state = self.start(src)
        place = torch.arange(tgt_in.size(1), device=src.device)  # (T,)
        x = self.embedded(tgt_in, place, self.tgt_embedding, self.tgt_positions)  # (B, T, E)
        for block, source in zip(self.decoder, state.source, strict=True):
            x, _, _ = through(block, self.checkpointing, x, Sight(causal=True), source, Sight(state.mask))  # (B, T, E)
        return self.output(self.tgt_norm(x))  # (B, T, V)

    def start(self, src: Tensor) -> Translating:
        """Read a source, int64 (B, S)."""
        mask = real_steps(src)[1][:, None, None]  # (B, 1, 1, S): all tokens look at all real ones
        place = torch.arange(src.size(1), device=src.device)  # (S,)
        x = self.embedded(src, place, self.src_embedding, self.src_positions)  # (B, S, E)
        for block in self.encoder:
            x, _ = through(block, self.checkpointing, x, Sight(mask))  # (B, S, E)
        x = self.src_norm(x)
        source = []
        for block in self.decoder:
            assert isinstance(block, DecoderBlock)
            source.append(block.at_source.read(x))  # (B, N, S, D) each
        nothing = tuple((keys[:, :, :0], values[:, :, :0]) for keys, values in source)
        return Translating(tuple(source), mask, nothing, torch.zeros_like(src[:, 0]), torch.zeros_like(x[:, :, 0]))

    def step(self, token: Tensor, state: Translating) -> tuple[Tensor, Translating]:
        """Read one more target token, int64 (B,): logits of the next one, (B, V), and the state after it."""
        place = state.place.unsqueeze(1)  # (B, 1)
        x = self.embedded(token.unsqueeze(1), place, self.tgt_embedding, self.tgt_positions)  # (B, 1, E)
        sight = Sight(up_to(state.place, state.blocks[0][0].size(2) + 1), place=state.place)
        blocks, looks = [], []
        for block, source, before in zip(self.decoder, state.source, state.blocks, strict=True):
            x, seen, looked = block(x, sight, source, Sight(state.mask), before)  # (B, 1, E)
            blocks.append(seen)
            looks.append(looked)
        after = Translating(state.source, state.mask, tuple(blocks), state.place + 1, torch.stack(looks).mean(dim=0))
        return self.output(self.tgt_norm(x)).squeeze(1), after

    def step_attention(self, state: Translating) -> Tensor:
        """How much heads and blocks looked at each source token in the last step, on average, (B, S)."""
        return state.looked

    def embedded(self, tokens: Tensor, place: Tensor, table: nn.Embedding, positions: nn.Module) -> Tensor:
        """Vectors (B, T, E) of tokens (B, T) and of their places (T,) or (B, T)."""
        return F.dropout(table(tokens) * self.scale + positions(place), self.dropout, self.training)
