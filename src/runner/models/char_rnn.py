"""Character language model: a recurrent layer predicts the next character from all previous ones.

Source: Elman, Finding Structure in Time, Cognitive Science 14, 1990, doi:10.1207/s15516709cog1402_1 (rnn);
Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, doi:10.1162/neco.1997.9.8.1735 (lstm); Cho et al.
2014, arXiv:1406.1078 (gru); the task as in Karpathy, The Unreasonable Effectiveness of Recurrent Neural
Networks, 2015.

Shape letters: B batch, T time (characters), V vocabulary, E length of a character vector, H hidden units, L layers.
"""

from torch import Tensor, nn

from runner.models.layers.carrying import CarryingLM, State
from runner.models.layers.stateful import StatefulName, read, stateful, zeros
from runner.models.ranges import check_size


class CharRNN(CarryingLM):
    """Logits of the next character at every place of a text.

    Its state is h, and for an lstm c, (B, L, H) each.

    Args:
        vocab_size: distinct characters, padding (0) included.
        embed_dim: length of a character vector; None = one-hot vectors, which are not trained.
        hidden_dim: units of a recurrent layer.
        num_layers: recurrent layers, one above the other.
        cell: kind of recurrent layer: rnn (tanh), gru or lstm.
        dropout: share of each layer's outputs dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, a dropout outside [0, 1), or an unknown cell.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int | None = 64,
        hidden_dim: int = 256,
        num_layers: int = 1,
        cell: StatefulName = "rnn",
        dropout: float = 0.0,
    ):
        super().__init__()
        width = vocab_size if embed_dim is None else embed_dim  # E
        check_size(vocab_size=vocab_size, embed_dim=width)
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=0)
        if embed_dim is None:
            nn.init.eye_(self.embedding.weight).requires_grad_(False)[0] = 0.0
        self.recurrent = stateful(width, hidden_dim, cell, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dim, vocab_size)

    def initial(self, rows: int) -> State:
        return zeros(self.recurrent, self.embedding.weight.new_empty(rows, 0))

    def read(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        before = self.initial(tokens.size(0)) if state is None else state
        hidden, after = read(self.recurrent, self.embedding(tokens), before)  # (B, T, H)
        return self.dropout(hidden), after
