"""A Transformer that reads a text as a whole and answers with one vector: classes or values.

Source: the encoder of Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762; blocks that share their
weights, Dehghani et al., Universal Transformers, 2018, arXiv:1807.03819. Departure: the answer comes from the mean of
all tokens.

Shape letters: B batch, T tokens, E width, K outputs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.blocks import ActivationName, Block, Shape, Sight, through
from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.pooling import Pooling, real_steps
from runner.models.layers.positions import POSITIONS, PositionName
from runner.models.ranges import check_choice, check_size


class TransformerEncoder(nn.Module):
    """Logits of the classes, or values, of a text.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: classes or values K.
        max_len: tokens of a text at most; with learned positions all later places share the last vector.
        embed_dim: width E, a multiple of num_heads.
        num_heads: heads of attention.
        num_layers: blocks.
        hidden_dim: width of the feed-forward layer in a block.
        positions: learned or sinusoidal.
        shared: whether all blocks are one and the same, which runs num_layers times.
        activation: relu, gelu or swiglu.
        pre_norm: whether a layer reads normed tokens; False = as in the paper, their sum with what it says is normed.
        dropout: share of the token vectors, and of what each layer adds, dropped in training, in [0, 1).
        checkpointing: whether blocks are computed again in the backward pass, which saves memory and costs time.

    Raises:
        ValueError: a size below 1, heads that do not divide, an unknown choice, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        max_len: int = 400,
        embed_dim: int = 32,
        num_heads: int = 2,
        num_layers: int = 1,
        hidden_dim: int = 32,
        positions: PositionName = "learned",
        shared: bool = False,
        activation: ActivationName = "relu",
        pre_norm: bool = False,
        dropout: float = 0.1,
        checkpointing: bool = False,
    ):
        super().__init__()
        check_size(max_len=max_len, num_layers=num_layers)
        check_choice(POSITIONS, positions=positions)
        shape = Shape(embed_dim, num_heads, hidden_dim, dropout, activation, pre_norm=pre_norm)
        self.dropout, self.checkpointing = dropout, checkpointing
        self.times = num_layers if shared else 1
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.positions = POSITIONS[positions](max_len, embed_dim)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(1 if shared else num_layers))
        self.norm = shape.new_norm() if pre_norm else nn.Identity()
        self.pool = Pooling("mean", embed_dim)
        self.output = nn.Linear(embed_dim, num_outputs)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T), to logits or values (B, K)."""
        _, mask = real_steps(tokens)  # (B, T)
        place = torch.arange(tokens.size(1), device=tokens.device)  # (T,)
        x = self.embedding(tokens) + self.positions(place)  # (B, T, E) + (T, E)
        x = F.dropout(x, self.dropout, self.training)
        sight = Sight(mask[:, None, None])  # (B, 1, 1, T): all tokens look at all real ones
        for _ in range(self.times):
            for block in self.blocks:
                x, _ = through(block, self.checkpointing, x, sight)  # (B, T, E)
        return self.output(self.pool(self.norm(x), x[:, 0], mask))  # (B, E) to (B, K)
