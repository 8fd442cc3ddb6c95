"""Reads a source text for a decoder.

Shape letters: B batch, S source tokens, E embedding, D numbers of an encoder state.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.cells import CellName
from runner.models.layers.pooling import real_steps
from runner.models.layers.recurrent import Recurrent


class Encoder(nn.Module):
    """Embeds the tokens of a source and reads them with recurrent layers.

    Args:
        vocab_size: tokens of the source's vocabulary.
        embed_dim: length E of a token vector.
        hidden_dim: units of a layer in each direction.
        cell: rnn, lstm, gru, peephole, coupled or minimal.
        num_layers: layers, one above the other.
        bidirectional: whether each layer also reads from the last token to the first; a state is then twice as long.
        dropout: share of the token vectors and of the outputs between the layers dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, an unknown cell, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        hidden_dim: int,
        cell: CellName = "gru",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        self.layers = Recurrent(embed_dim, hidden_dim, cell, num_layers, bidirectional, dropout=dropout)
        self.output_dim = self.layers.output_dim
        self.dropout = dropout

    def forward(self, src: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Source, int64 (B, S), to the states (B, S, D), the last of each row (B, D), and the real tokens (B, S)."""
        lengths, mask = real_steps(src)
        embedded = F.dropout(self.embedding(src), self.dropout, self.training)  # (B, S, E)
        states, last = self.layers(embedded, lengths)
        return states, last, mask
