"""The plain encoder-decoder: one recurrent net reads the source, its last state is all that another one writes from.

Source: Sutskever, Vinyals and Le, Sequence to Sequence Learning with Neural Networks, 2014, arXiv:1409.3215.
Departures: the decoder's first state is a layer of tanh on what was read last, so that encoder and decoder may differ
in size; the source is read in its own order.

Shape letters: B batch, S source tokens, T target tokens, V target vocabulary, E embedding, H hidden units, L layers.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.encoder import Encoder
from runner.models.layers.stateful import Bridge, State, StatefulName, read, stateful


class Seq2Seq(nn.Module):
    """Logits of each next target token, from a source and the target so far.

    Args:
        src_vocab_size: tokens of the source's vocabulary, padding (0) included.
        tgt_vocab_size: tokens V of the target's vocabulary, padding (0) included.
        embed_dim: length E of a token vector.
        hidden_dim: units H of a layer, in each direction of the encoder and in the decoder.
        cell: kind of recurrent layer: rnn (tanh), gru or lstm.
        num_layers: layers of encoder and decoder.
        bidirectional: whether the encoder also reads from the last token to the first.
        dropout: share of token vectors and outputs dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, an unknown cell, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        src_vocab_size: int,
        tgt_vocab_size: int,
        embed_dim: int = 128,
        hidden_dim: int = 256,
        cell: StatefulName = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder = Encoder(src_vocab_size, embed_dim, hidden_dim, cell, num_layers, bidirectional, dropout)
        self.embedding = nn.Embedding(tgt_vocab_size, embed_dim, padding_idx=0)
        self.decoder = stateful(embed_dim, hidden_dim, cell, num_layers, dropout)
        self.bridge = Bridge(self.encoder.output_dim, self.decoder)
        self.output = nn.Linear(hidden_dim, tgt_vocab_size)
        self.dropout = dropout

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """Source (B, S) and target so far (B, T), int64, to logits of the token after each, (B, T, V)."""
        return self.write(tgt_in, self.start(src))[0]

    def start(self, src: Tensor) -> State:
        """Read a source, int64 (B, S)."""
        _, last, _ = self.encoder(src)
        return self.bridge(last)

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more target token, int64 (B,): logits of the next one, (B, V), and the state after it."""
        logits, state = self.write(token.unsqueeze(1), state)
        return logits.squeeze(1), state

    def write(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Target tokens (B, T) and the state before them to logits (B, T, V) and the state after them."""
        embedded = F.dropout(self.embedding(tokens), self.dropout, self.training)  # (B, T, E)
        hidden, state = read(self.decoder, embedded, state)  # (B, T, H)
        return self.output(F.dropout(hidden, self.dropout, self.training)), state
