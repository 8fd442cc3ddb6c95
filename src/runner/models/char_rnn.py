"""Character language model: a recurrent layer guesses the next character from all before it.

Source: Elman, Finding Structure in Time, Cognitive Science 14, 1990, doi:10.1207/s15516709cog1402_1 (rnn);
Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, doi:10.1162/neco.1997.9.8.1735 (lstm); Cho et al.
2014, arXiv:1406.1078 (gru); the task as in Karpathy, The Unreasonable Effectiveness of Recurrent Neural
Networks, 2015. Departure: characters are embedded instead of one-hot.

Shape letters: B batch, T time (characters), V vocabulary, E embedding, H hidden units, L layers.
"""

from typing import Literal

from torch import Tensor, nn

from runner.models.ranges import check_choice, check_share, check_size

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class CharRNN(nn.Module):
    """Logits of the next character at every place of a text.

    Args:
        vocab_size: distinct characters, padding (0) included.
        embed_dim: length of a character vector.
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
        embed_dim: int = 64,
        hidden_dim: int = 256,
        num_layers: int = 1,
        cell: Literal["rnn", "gru", "lstm"] = "rnn",
        dropout: float = 0.0,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, embed_dim=embed_dim, hidden_dim=hidden_dim, num_layers=num_layers)
        check_choice(CELLS, cell=cell)
        check_share(dropout=dropout)
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        between = dropout if num_layers > 1 else 0.0  # torch warns about dropout between the layers of one layer
        self.recurrent = CELLS[cell](embed_dim, hidden_dim, num_layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dim, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T), to logits of the token after each, (B, T, V)."""
        logits, _ = self.step(tokens)
        return logits

    def step(
        self, tokens: Tensor, state: Tensor | tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
        """Go on from a state: tokens, int64 (B, T), to logits (B, T, V) and the state after them.

        The state is (L, B, H), for an lstm a pair of these; None is the start of a text.
        """
        inputs = self.embedding(tokens)  # (B, T, E)
        hidden, state = self.recurrent(inputs, state)  # (B, T, H)
        return self.output(self.dropout(hidden)), state
