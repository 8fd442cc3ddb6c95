"""Encoder-decoder with attention: before each word, the decoder looks back at the whole source.

Sources: Bahdanau, Cho and Bengio 2015, arXiv:1409.0473 (order=bahdanau: look first, then update the state); Luong, Pham
and Manning 2015, arXiv:1508.04025 (order=luong: update first, then look; windows, input feeding); Xu et al. 2015,
arXiv:1502.03044, section 4.1 (hard: one place is drawn; trained by REINFORCE, Williams 1992, doi:10.1007/BF00992696).
Departures: a layer of tanh before the output in both orders (Bahdanau: maxout); what a drawn place is worth is the
log-likelihood of the tokens from there on, and its baseline a moving mean of that of one token.

Shape letters: B batch, S source tokens, T target tokens, V target vocabulary, E embedding, H hidden units, K numbers of
an encoder state, L layers.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.attention import Attention, ScoreName, WindowName
from runner.models.layers.encoder import Encoder
from runner.models.layers.softmax import IGNORE
from runner.models.layers.stateful import Bridge, StatefulName, read, stateful, zeros
from runner.models.layers.stateful import State as Recurrence
from runner.models.ranges import check_choice


class Memory(NamedTuple):
    """What was read: encoder states (B, S, K), what the score prepared of them, and which are real (B, S)."""

    keys: Tensor
    prepared: Tensor
    mask: Tensor


class State(NamedTuple):
    """The decoder's layers, its last output (B, 1, H), the place of the next token (B, 1), the last weights (B, S)."""

    layers: Recurrence
    output: Tensor
    place: Tensor
    memory: Memory
    weights: Tensor


class AttentionSeq2Seq(nn.Module):
    """Logits of each next target token, from a source and the target so far.

    Args:
        src_vocab_size: tokens of the source's vocabulary, padding (0) included.
        tgt_vocab_size: tokens V of the target's vocabulary, padding (0) included.
        embed_dim: length E of a token vector.
        hidden_dim: units H of the decoder; the two directions of the encoder share them, so that states are as long.
        cell: kind of recurrent layer: rnn (tanh), gru or lstm.
        num_layers: layers of encoder and decoder.
        dropout: share of token vectors and outputs dropped in training, in [0, 1).
        order: bahdanau = look with the last state, then update it; luong = update the state, then look with it.
        score: how a decoder state is compared with an encoder state: dot, scaled_dot, cosine, general, additive or
            location.
        window: global = the whole source; local-m = around the place of the target token; local-p = around a place that
            the decoder chooses.
        width: tokens on either side of the middle of a local window.
        max_len: source tokens at most; only score=location needs to know.
        hard: whether one place is drawn instead of a weighted mean over all; in evaluation it is the likeliest one.
        input_feeding: whether the decoder also reads its last output (luong; bahdanau reads what it looked at).
        hand_over: whether the decoder begins with what was read last; false = with zeros.

    Raises:
        ValueError: a size below 1, an unknown choice, an odd hidden_dim, or a dropout outside [0, 1).
    """

    baseline: Tensor  # moving mean of the log-likelihood of a token; only hard attention has a use for it

    def __init__(
        self,
        src_vocab_size: int,
        tgt_vocab_size: int,
        embed_dim: int = 128,
        hidden_dim: int = 256,
        cell: StatefulName = "gru",
        num_layers: int = 1,
        dropout: float = 0.0,
        order: Literal["bahdanau", "luong"] = "luong",
        score: ScoreName = "general",
        window: WindowName = "global",
        width: int = 5,
        max_len: int = 100,
        hard: bool = False,
        input_feeding: bool = False,
        hand_over: bool = True,
    ):
        super().__init__()
        check_choice(("bahdanau", "luong"), order=order)
        if hidden_dim % 2:
            raise ValueError(f"hidden_dim must be even, half of it for each direction; received {hidden_dim}")
        self.order, self.hard, self.feeding, self.dropout = order, hard, input_feeding and order == "luong", dropout
        self.encoder = Encoder(src_vocab_size, embed_dim, hidden_dim // 2, cell, num_layers, True, dropout)
        self.embedding = nn.Embedding(tgt_vocab_size, embed_dim, padding_idx=0)
        reads = embed_dim + (hidden_dim if self.feeding or order == "bahdanau" else 0)
        self.decoder = stateful(reads, hidden_dim, cell, num_layers, dropout)
        self.bridge = Bridge(hidden_dim, self.decoder) if hand_over else None
        self.attention = Attention(hidden_dim, hidden_dim, score, window, width, max_len)
        self.combine = nn.Linear(2 * hidden_dim + (embed_dim if order == "bahdanau" else 0), hidden_dim)
        self.output = nn.Linear(hidden_dim, tgt_vocab_size)
        self.register_buffer("baseline", torch.zeros(()))

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """Source (B, S) and target so far (B, T), int64, to logits of the token after each, (B, T, V)."""
        return self.run(src, tgt_in)[0]

    def run(self, src: Tensor, tgt_in: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T, V), and the log-probability of the place that was looked at (B, T): 0 unless it is drawn."""
        state = self.start(src)
        embedded = F.dropout(self.embedding(tgt_in), self.dropout, self.training)  # (B, T, E)
        # Without a look or an output of the last step among its inputs, the decoder takes all steps at once.
        at_once = self.order == "luong" and not self.feeding
        outputs, chances = [], []
        for tokens in [embedded] if at_once else embedded.split(1, dim=1):
            output, chance, state = self.advance(tokens, state)
            outputs.append(output)
            chances.append(chance)
        return self.logits(torch.cat(outputs, dim=1)), torch.cat(chances, dim=1)

    def start(self, src: Tensor) -> State:
        """Read a source, int64 (B, S)."""
        keys, last, mask = self.encoder(src)
        layers = self.bridge(last) if self.bridge is not None else zeros(self.decoder, last)
        memory = Memory(keys, self.attention.prepare(keys), mask)
        place = torch.zeros(src.size(0), 1, dtype=torch.int64, device=src.device)
        return State(layers, keys.new_zeros(src.size(0), 1, self.output.in_features), place, memory, keys[:, :, 0] * 0)

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more target token, int64 (B,): logits of the next one, (B, V), and the state after it."""
        output, _, state = self.advance(self.embedding(token.unsqueeze(1)), state)
        return self.logits(output).squeeze(1), state

    def step_attention(self, state: State) -> Tensor:
        """How much the last step looked at each source token, (B, S)."""
        return state.weights

    def advance(self, embedded: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Take the steps of some target tokens (B, T, E), T = 1 where a step needs the last one.

        Returns:
            What the decoder says (B, T, H), the log-probability of the places looked at (B, T), the state after them.
        """
        layers, steps = state.layers, torch.arange(embedded.size(1), device=embedded.device)
        place = state.place + steps  # (B, T)
        if self.order == "bahdanau":
            context, weights, chance = self.look(layers[0][:, -1:], state.memory, place)
            hidden, layers = read(self.decoder, torch.cat([embedded, context], dim=2), layers)  # (B, 1, H)
            output = torch.tanh(self.combine(torch.cat([hidden, context, embedded], dim=2)))
        else:
            inputs = torch.cat([embedded, state.output], dim=2) if self.feeding else embedded
            hidden, layers = read(self.decoder, inputs, layers)  # (B, T, H)
            context, weights, chance = self.look(hidden, state.memory, place)
            output = torch.tanh(self.combine(torch.cat([hidden, context], dim=2)))
        return output, chance, State(layers, output[:, -1:], place[:, -1:] + 1, state.memory, weights[:, -1])

    def look(self, query: Tensor, memory: Memory, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, T, H) to what they looked at (B, T, K), its weights (B, T, S) and log-probability (B, T)."""
        weights = self.attention.weights(query, memory.prepared, memory.mask, place)
        if not self.hard:
            return weights @ memory.keys, weights, weights.new_zeros(weights.shape[:2])
        if self.training:
            chosen = torch.multinomial(weights.flatten(0, 1) + TINY, 1).view(weights.shape[:2])  # (B, T)
        else:
            chosen = weights.argmax(dim=2)
        one = F.one_hot(chosen, weights.size(2)).to(weights.dtype)  # (B, T, S)
        share = weights / (weights.sum(dim=2, keepdim=True) + TINY)  # a window with a middle does not add up to 1
        chance = (share.gather(2, chosen.unsqueeze(2)).squeeze(2) + TINY).log()
        return one @ memory.keys, one, chance

    def logits(self, output: Tensor) -> Tensor:
        """What the decoder says (B, T, H) to logits (B, T, V)."""
        return self.output(F.dropout(output, self.dropout, self.training))

    def losses(self, inputs: tuple[Tensor, ...], target: Tensor) -> dict[str, Tensor]:
        """Hard attention's own loss in training, from source, target so far and next tokens (B, T), -100 = none.

        Cross-entropy, whose gradient passes through the places drawn, and REINFORCE for the drawing itself.
        """
        if not (self.hard and self.training):
            return {}
        logits, chance = self.run(*inputs)
        real = target != IGNORE
        said = -F.cross_entropy(logits.transpose(1, 2), target, ignore_index=IGNORE, reduction="none")  # (B, T)
        later, left = from_here_on(said.detach()), from_here_on(real)  # what a place has still to do with
        worth = later - self.baseline * left
        mean = said.sum() / real.sum()
        self.baseline.lerp_(mean.detach(), 0.1)
        return {"loss": -mean - (worth * chance * real).sum() / real.sum()}


TINY = 1e-8  # keeps the logarithm of a weight finite


def from_here_on(values: Tensor) -> Tensor:
    """Sums of (B, T) from each step to the last one."""
    return values.flip(1).cumsum(dim=1).flip(1)
