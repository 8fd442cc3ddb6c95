"""Recurrent classifier (or regressor): a recurrent net reads tokens or signals step by step, its outputs are pooled
into one vector, and a dense layer answers.

Sources: the course book, chapters 8 and 9, whose models are settings of this one; the cells are those of
`layers/cells.py`, each with its source there. Departure: the book's dense layer of chapter 9, section 4, has no
activation, which makes it and the output layer one linear map; here it has a ReLU.

Shape letters: B batch, T steps, C channels, E embedding, D outputs of the recurrent net, K outputs.
"""

import torch
from torch import Tensor, nn

from runner.models.layers.cells import CellName
from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.pooling import Pooling, PoolName, real_steps
from runner.models.layers.recurrent import MergeName, Recurrent
from runner.models.ranges import check_share, check_size


class RecurrentNet(nn.Module):
    """Scores of a text or of a window of signals.

    Args:
        num_outputs: numbers returned for each row: classes or targets.
        vocab_size: distinct tokens of a text, padding (0) included; None = the rows are signals.
        num_channels: signals of a window; None = the rows are texts.
        embed_dim: length of a word vector; signals are read directly.
        hidden_dim: units of a layer in each direction.
        cell: rnn, lstm, gru, peephole, coupled or minimal.
        num_layers: recurrent layers, one above the other.
        bidirectional: whether each layer also reads from the end to the beginning.
        merge: how the two directions become one: concat, sum, mul (product) or mean.
        pool: which steps answer: the last, the mean, the max, or attention.
        dense_dim: units of a dense layer with ReLU before the output; None = no such layer.
        dropout: share of each layer's outputs dropped in training, in [0, 1).
        variational: whether dropout leaves out the same units at every step, of the inputs and the recurrent state of
            each layer too (Gal and Ghahramani 2016); a training step takes several times as long.

    Raises:
        ValueError: a size below 1, a dropout outside [0, 1), an unknown cell, merge or pool, or neither or both of
            vocab_size and num_channels.
    """

    def __init__(
        self,
        num_outputs: int,
        vocab_size: int | None = None,
        num_channels: int | None = None,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        cell: CellName = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        merge: MergeName = "concat",
        pool: PoolName = "last",
        dense_dim: int | None = None,
        dropout: float = 0.5,
        variational: bool = False,
    ):
        super().__init__()
        if (vocab_size is None) == (num_channels is None):
            raise ValueError(
                f"one of vocab_size (texts) and num_channels (signals) is needed, received {vocab_size} and "
                f"{num_channels}"
            )
        check_size(num_outputs=num_outputs, embed_dim=embed_dim)
        check_share(dropout=dropout)
        self.embedding = None
        if vocab_size is not None:
            check_size(vocab_size=vocab_size)
            self.embedding = word_embedding(vocab_size, embed_dim)
        width = embed_dim if num_channels is None else num_channels
        self.recurrent = Recurrent(
            width, hidden_dim, cell, num_layers, bidirectional, merge, dropout=dropout, variational=variational
        )
        self.pooling = Pooling(pool, self.recurrent.output_dim)
        self.dropout = nn.Dropout(dropout)
        features = self.recurrent.output_dim
        self.dense = None
        if dense_dim is not None:
            check_size(dense_dim=dense_dim)
            self.dense, features = nn.Sequential(nn.Linear(features, dense_dim), nn.ReLU()), dense_dim
        self.output = nn.Linear(features, num_outputs)

    def forward(self, rows: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0 at the end, or signals (B, T, C), to scores (B, K)."""
        features = self.pooling(*self.read(rows))  # (B, D)
        return self.output(features if self.dense is None else self.dense(features))  # (B, K)

    def read(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Rows to what pooling takes: outputs (B, T, D), the last ones (B, D), mask (B, T) or None for signals."""
        lengths, mask = (None, None) if self.embedding is None else real_steps(rows)
        outputs, last = self.recurrent(rows if self.embedding is None else self.embedding(rows), lengths)
        if self.pooling.pool == "last":
            return outputs, self.dropout(last), mask
        if self.recurrent.variational:  # the same units at every step
            outputs = outputs * self.dropout(torch.ones_like(outputs[:, :1]))
        else:
            outputs = self.dropout(outputs)
        return outputs, last, mask

    def attention(self, rows: Tensor) -> Tensor | None:
        """How much each step counts, (B, T); None unless pool is attention."""
        if self.pooling.score is None:
            return None
        outputs, _, mask = self.read(rows)
        return self.pooling.weights(outputs, mask)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E).

        Raises:
            ValueError: the rows are signals, or the vectors do not have the length embed_dim.
        """
        if self.embedding is None:
            raise ValueError("this net reads signals and cannot use word vectors")
        load_vectors(self.embedding, matrix)
