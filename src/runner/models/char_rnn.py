"""Character language model: a recurrent layer predicts the next character from all previous ones.

Source: Elman, Finding Structure in Time, Cognitive Science 14, 1990, doi:10.1207/s15516709cog1402_1 (rnn);
Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, doi:10.1162/neco.1997.9.8.1735 (lstm); Cho et al.
2014, arXiv:1406.1078 (gru); the task as in Karpathy, The Unreasonable Effectiveness of Recurrent Neural
Networks, 2015.

Shape letters: B batch, T time (characters), V vocabulary, E length of a character vector, H hidden units, L layers.
"""

from typing import Literal

from torch import Tensor, nn

from runner.models.layers.carrying import CarryingLM, State
from runner.models.ranges import check_choice, check_share, check_size

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


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
        cell: Literal["rnn", "gru", "lstm"] = "rnn",
        dropout: float = 0.0,
    ):
        super().__init__()
        width = vocab_size if embed_dim is None else embed_dim  # E
        check_size(vocab_size=vocab_size, embed_dim=width, hidden_dim=hidden_dim, num_layers=num_layers)
        check_choice(CELLS, cell=cell)
        check_share(dropout=dropout)
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=0)
        if embed_dim is None:
            nn.init.eye_(self.embedding.weight).requires_grad_(False)[0] = 0.0
        between = dropout if num_layers > 1 else 0.0  # torch warns about dropout between the layers of one layer
        self.recurrent = CELLS[cell](width, hidden_dim, num_layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dim, vocab_size)

    def initial(self, rows: int) -> State:
        zeros = self.embedding.weight.new_zeros(rows, self.recurrent.num_layers, self.recurrent.hidden_size)
        return (zeros, zeros) if isinstance(self.recurrent, nn.LSTM) else (zeros,)

    def read(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        parts = tuple(part.transpose(0, 1).contiguous() for part in state or ())  # (L, B, H) each, as torch has them
        before = parts if len(parts) > 1 else parts[0] if parts else None
        hidden, after = self.recurrent(self.embedding(tokens), before)  # (B, T, H)
        parts = after if isinstance(after, tuple) else (after,)
        return self.dropout(hidden), tuple(part.transpose(0, 1) for part in parts)
