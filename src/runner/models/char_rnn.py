"""Character language model: a recurrent layer predicts the next character from all previous ones.

Source: Elman, Finding Structure in Time, Cognitive Science 14, 1990, doi:10.1207/s15516709cog1402_1 (rnn);
Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, doi:10.1162/neco.1997.9.8.1735 (lstm); Cho et al.
2014, arXiv:1406.1078 (gru); the task as in Karpathy, The Unreasonable Effectiveness of Recurrent Neural
Networks, 2015. Departure: characters are embedded instead of one-hot.

Shape letters: B batch, T time (characters), V vocabulary, E embedding, H hidden units, L layers.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from runner.models.layers.pooling import real_steps
from runner.models.ranges import check_choice, check_share, check_size

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
State = tuple[Tensor, ...]  # h, and for an lstm c: (B, L, H) each


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
        hidden, _ = self.recurrent(self.embedding(tokens))  # (B, T, H)
        return self.output(self.dropout(hidden))

    def start(self, tokens: Tensor) -> State:
        """The state before the last token of each prompt, int64 (B, T) with padding 0 at the end: `step` reads that."""
        before = real_steps(tokens)[0] - 1  # (B,): tokens that the state has seen
        rows = pack_padded_sequence(
            self.embedding(tokens), before.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, state = self.recurrent(rows)  # (L, B, H), for an lstm a pair of these
        seen = (before > 0).view(-1, 1, 1)  # a prompt of one token begins with zeros
        parts = state if isinstance(state, tuple) else (state,)
        return tuple(torch.where(seen, part.transpose(0, 1), 0.0) for part in parts)

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more token: int64 (B,) and the state to logits of the next token, (B, V), and the state after it."""
        parts = tuple(part.transpose(0, 1).contiguous() for part in state)  # (L, B, H) each, as torch expects them
        hidden, after = self.recurrent(self.embedding(token[:, None]), parts if len(parts) > 1 else parts[0])
        parts = after if isinstance(after, tuple) else (after,)
        return self.output(self.dropout(hidden[:, 0])), tuple(part.transpose(0, 1) for part in parts)
