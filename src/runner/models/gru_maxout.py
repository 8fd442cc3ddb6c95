"""The first encoder-decoder with gates: its summary of the source is read at every step, a maxout layer writes.

Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014, arXiv:1406.1078, appendix A.
The reset gate of the encoder acts before the product with U, that of the decoder after it and on the summary too.
Departure: one matrix from the maxout units to the vocabulary, where the paper factors it into two.

Shape letters: B batch, S source tokens, T target tokens, V target vocabulary, E embedding, H hidden units, M maxout
units.
"""

import torch
from torch import Tensor, nn

from runner.models.layers.pooling import real_steps
from runner.models.ranges import check_share, check_size

State = tuple[Tensor, Tensor]  # the decoder's (B, H), and the summary of the source (B, H)


class GRUMaxout(nn.Module):
    """Logits of each next target token, from a source and the target so far.

    Args:
        src_vocab_size: tokens of the source's vocabulary, padding (0) included.
        tgt_vocab_size: tokens V of the target's vocabulary, padding (0) included.
        embed_dim: length E of a token vector; 100 in the paper.
        hidden_dim: units H of encoder and decoder; 1000 in the paper.
        maxout_dim: units M of the maxout layer, each the larger of two numbers; 500 in the paper.
        dropout: share of the maxout units dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        src_vocab_size: int,
        tgt_vocab_size: int,
        embed_dim: int = 100,
        hidden_dim: int = 256,
        maxout_dim: int = 128,
        dropout: float = 0.0,
    ):
        super().__init__()
        check_size(embed_dim=embed_dim, hidden_dim=hidden_dim, maxout_dim=maxout_dim)
        check_share(dropout=dropout)
        self.src_embedding = nn.Embedding(src_vocab_size, embed_dim, padding_idx=0)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, embed_dim, padding_idx=0)
        # Blocks of the columns of the input matrices: update gate z, reset gate r, candidate.
        self.read_input = nn.Linear(embed_dim, 3 * hidden_dim)  # W_z, W_r, W
        self.read_gates = nn.Linear(hidden_dim, 2 * hidden_dim, bias=False)  # U_z, U_r
        self.read_candidate = nn.Linear(hidden_dim, hidden_dim, bias=False)  # U
        self.summary = nn.Linear(hidden_dim, hidden_dim)  # V
        self.begin = nn.Linear(hidden_dim, hidden_dim)  # V'
        self.write_input = nn.Linear(embed_dim, 3 * hidden_dim)  # W'_z, W'_r, W'
        self.write_state = nn.Linear(hidden_dim, 3 * hidden_dim, bias=False)  # U'_z, U'_r, U'
        self.write_summary = nn.Linear(hidden_dim, 3 * hidden_dim, bias=False)  # C_z, C_r, C
        self.maxout = nn.Linear(2 * hidden_dim + embed_dim, 2 * maxout_dim)  # O_h, O_c, O_y
        self.output = nn.Linear(maxout_dim, tgt_vocab_size)  # G
        self.dropout = nn.Dropout(dropout)
        for square in (self.read_gates, self.read_candidate, self.write_state):
            for block in square.weight.data.split(hidden_dim):
                nn.init.orthogonal_(block)

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """Source (B, S) and target so far (B, T), int64, to logits of the token after each, (B, T, V)."""
        hidden, c = self.start(src)
        embedded = self.tgt_embedding(tgt_in)  # (B, T, E)
        inputs, summary = self.write_input(embedded), self.write_summary(c)
        states = []
        for now in inputs.unbind(dim=1):
            hidden = self.advance(now, hidden, summary)
            states.append(hidden)
        return self.logits(torch.stack(states, dim=1), embedded, c.unsqueeze(1).expand(-1, len(states), -1))

    def start(self, src: Tensor) -> State:
        """Read a source, int64 (B, S): the first state of the decoder and the summary c."""
        _, mask = real_steps(src)
        inputs = self.read_input(self.src_embedding(src))  # (B, S, 3H)
        h = inputs.new_zeros(inputs.size(0), self.summary.in_features)
        for now, real in zip(inputs.unbind(dim=1), mask.unsqueeze(2).unbind(dim=1), strict=True):
            (z, r, candidate), (old_z, old_r) = now.chunk(3, dim=1), self.read_gates(h).chunk(2, dim=1)
            update, reset = torch.sigmoid(z + old_z), torch.sigmoid(r + old_r)  # (B, H) each
            new = torch.tanh(candidate + self.read_candidate(reset * h))
            h = torch.where(real, update * h + (1 - update) * new, h)
        c = torch.tanh(self.summary(h))
        return torch.tanh(self.begin(c)), c

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more target token, int64 (B,): logits of the next one, (B, V), and the state after it."""
        hidden, c = state
        embedded = self.tgt_embedding(token)  # (B, E)
        hidden = self.advance(self.write_input(embedded), hidden, self.write_summary(c))
        return self.logits(hidden, embedded, c), (hidden, c)

    def advance(self, now: Tensor, hidden: Tensor, summary: Tensor) -> Tensor:
        """The next state of the decoder, from the products of input and summary (B, 3H) and the last state (B, H)."""
        z, r, candidate = now.chunk(3, dim=1)
        old_z, old_r, old = self.write_state(hidden).chunk(3, dim=1)
        c_z, c_r, c = summary.chunk(3, dim=1)
        update, reset = torch.sigmoid(z + old_z + c_z), torch.sigmoid(r + old_r + c_r)
        return update * hidden + (1 - update) * torch.tanh(candidate + reset * (old + c))

    def logits(self, hidden: Tensor, embedded: Tensor, c: Tensor) -> Tensor:
        """States, last tokens and summary, (..., H), (..., E), (..., H), to logits (..., V)."""
        pairs = self.maxout(torch.cat([hidden, c, embedded], dim=-1)).unflatten(-1, (-1, 2))  # (..., M, 2)
        return self.output(self.dropout(pairs.amax(dim=-1)))
