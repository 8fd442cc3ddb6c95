"""From a long text to a short one: GRU in both directions, general attention, GRU.

Source: the title generator of the course book, chapter 11, after Bahdanau, Cho and Bengio 2015, arXiv:1409.0473: one
table of token vectors for both texts, and each step reads what the last one looked at. Departures: the table of the
target is the matrix of the output too (Press and Wolf 2017, arXiv:1608.05859); the vectors of the source tokens looked
at are added to what is compared with it, so that a word of the source is easily written again (a shorter form of Nguyen
and Chiang 2018, arXiv:1710.01329, section 4); the word is chosen from the new look too, not from the state alone.

Shape letters: B batch, S source tokens, T target tokens, V target vocabulary, E embedding, H hidden units.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.attention import Attention
from runner.models.layers.encoder import Encoder
from runner.models.layers.stateful import Bridge, read, stateful
from runner.models.ranges import check_share


class TitleMemory(NamedTuple):
    """What was read: encoder states (B, S, H), what the score prepared of them, the token vectors (B, S, E), and which
    are real (B, S)."""

    keys: Tensor
    prepared: Tensor
    words: Tensor
    mask: Tensor


class TitleState(NamedTuple):
    """The decoder's layer (B, 1, H), what the last step looked at (B, 1, H), its weights (B, S), and what was read."""

    hidden: Tensor
    context: Tensor
    weights: Tensor
    memory: TitleMemory


class TitleGRU(nn.Module):
    """Logits of each next target token, from a source and the target so far.

    Args:
        src_vocab_size: tokens of the source's vocabulary, padding (0) included.
        tgt_vocab_size: tokens V of the target's vocabulary, padding (0) included.
        embed_dim: length E of a token vector.
        hidden_dim: units H of the decoder, an even number; the two directions of the encoder share them.
        dropout: share of token vectors and outputs dropped in training, in [0, 1).
        shared: whether both vocabularies are one, and so are their tables of token vectors.
        lexical: whether the vectors of the source tokens that are looked at are added to what chooses the word.

    Raises:
        ValueError: a size below 1, an odd hidden_dim, a dropout outside [0, 1), or shared tables of two sizes.
    """

    def __init__(
        self,
        src_vocab_size: int,
        tgt_vocab_size: int,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        dropout: float = 0.0,
        shared: bool = False,
        lexical: bool = True,
    ):
        super().__init__()
        if shared and src_vocab_size != tgt_vocab_size:
            raise ValueError(f"a shared table has one size; received {src_vocab_size} and {tgt_vocab_size} tokens")
        if hidden_dim % 2:
            raise ValueError(f"hidden_dim must be even, half of it for each direction; received {hidden_dim}")
        check_share(dropout=dropout)
        self.dropout, self.lexical = dropout, lexical
        self.encoder = Encoder(src_vocab_size, embed_dim, hidden_dim // 2, "gru", 1, True, dropout)
        self.embedding = self.encoder.embedding if shared else nn.Embedding(tgt_vocab_size, embed_dim, padding_idx=0)
        self.decoder = stateful(embed_dim + hidden_dim, hidden_dim, "gru")
        self.bridge = Bridge(hidden_dim, self.decoder)
        self.attention = Attention(hidden_dim, hidden_dim, "general")
        self.combine = nn.Linear(2 * hidden_dim, embed_dim)
        self.bias = nn.Parameter(torch.zeros(tgt_vocab_size))  # of the output
        for table in (self.encoder.embedding, self.embedding):
            nn.init.normal_(table.weight, std=0.3)
            with torch.no_grad():
                table.weight[0] = 0

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """Source (B, S) and target so far (B, T), int64, to logits of the token after each, (B, T, V)."""
        state, outputs = self.start(src), []
        embedded = F.dropout(self.embedding(tgt_in), self.dropout, self.training)  # (B, T, E)
        for token in embedded.split(1, dim=1):
            output, state = self.advance(token, state)
            outputs.append(output)
        return self.logits(torch.cat(outputs, dim=1))

    def start(self, src: Tensor) -> TitleState:
        """Read a source, int64 (B, S)."""
        keys, last, mask = self.encoder(src)
        (hidden,) = self.bridge(last)
        memory = TitleMemory(keys, self.attention.prepare(keys), self.encoder.embedding(src), mask)
        even = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)  # (B, S): the first step reads the mean of the states
        return TitleState(hidden, even.unsqueeze(1) @ keys, even, memory)

    def step(self, token: Tensor, state: TitleState) -> tuple[Tensor, TitleState]:
        """Read one more target token, int64 (B,): logits of the next one, (B, V), and the state after it."""
        output, state = self.advance(self.embedding(token.unsqueeze(1)), state)
        return self.logits(output).squeeze(1), state

    def step_attention(self, state: TitleState) -> Tensor:
        """How much the last step looked at each source token, (B, S)."""
        return state.weights

    def advance(self, embedded: Tensor, state: TitleState) -> tuple[Tensor, TitleState]:
        """Take the step of one target token (B, 1, E): what is compared with the token vectors (B, 1, E), the state."""
        memory = state.memory
        hidden, (layer,) = read(self.decoder, torch.cat([embedded, state.context], dim=2), (state.hidden,))  # (B, 1, H)
        place = hidden.new_zeros(hidden.shape[:2], dtype=torch.int64)  # only local windows look at it
        weights = self.attention.weights(hidden, memory.prepared, memory.mask, place)  # (B, 1, S)
        context = weights @ memory.keys  # (B, 1, H)
        output = torch.tanh(self.combine(torch.cat([hidden, context], dim=2)))  # (B, 1, E)
        if self.lexical:
            output = output + weights @ memory.words
        return output, TitleState(layer, context, weights.squeeze(1), memory)

    def logits(self, output: Tensor) -> Tensor:
        """What is compared with the token vectors (B, T, E) to logits (B, T, V)."""
        return F.linear(F.dropout(output, self.dropout, self.training), self.embedding.weight, self.bias)
