"""Encoder-decoder of gated convolutions; every layer of the decoder looks at the source.

Source: Gehring, Auli, Grangier, Yarats and Dauphin, Convolutional Sequence to Sequence Learning, ICML 2017,
arXiv:1705.03122. Departures: encoder and decoder have as many channels as their token vectors after one linear layer
each, and the gradients of the encoder are not scaled down by the number of looks.

Shape letters: B batch, S source tokens, T target tokens, V target vocabulary, E embedding, H channels, W kernel width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.attention import HIDDEN
from runner.models.layers.convolution import HALF, GatedConvolution
from runner.models.layers.pooling import masked, real_steps
from runner.models.ranges import check_share, check_size

# Encoder outputs (B, S, E), those plus the token vectors (B, S, E), which tokens are real (B, S), the place of the next
# target token (B,), where the decoder looked last (B, S), and the last W - 1 inputs of each layer, (B, W - 1, H) each.
State = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, tuple[Tensor, ...]]


class ConvSeq2Seq(nn.Module):
    """Logits of each next target token, from a source and the target so far.

    Args:
        src_vocab_size: tokens of the source's vocabulary, padding (0) included.
        tgt_vocab_size: tokens V of the target's vocabulary, padding (0) included.
        max_len: tokens of a source at most.
        tgt_max_len: tokens of a target at most; beyond these lengths all places share the last position vector.
        embed_dim: length E of a token vector and of a position vector.
        hidden_dim: channels H.
        num_layers: convolutions of the encoder and of the decoder.
        kernel_size: tokens W that a convolution sees at once, odd.
        dropout: share of token vectors, of the inputs of each convolution and of the last outputs dropped in training,
            in [0, 1).

    Raises:
        ValueError: a size below 1, an even kernel_size, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        src_vocab_size: int,
        tgt_vocab_size: int,
        max_len: int = 50,
        tgt_max_len: int = 50,
        embed_dim: int = 128,
        hidden_dim: int = 256,
        num_layers: int = 3,
        kernel_size: int = 3,
        dropout: float = 0.1,
    ):
        super().__init__()
        check_size(max_len=max_len, tgt_max_len=tgt_max_len, embed_dim=embed_dim, hidden_dim=hidden_dim)
        check_size(num_layers=num_layers, kernel_size=kernel_size)
        check_share(dropout=dropout)
        self.dropout, self.kernel_size = dropout, kernel_size
        self.src_embedding = nn.Embedding(src_vocab_size, embed_dim, padding_idx=0)
        self.src_positions = nn.Embedding(max_len, embed_dim)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, embed_dim, padding_idx=0)
        self.tgt_positions = nn.Embedding(tgt_max_len, embed_dim)
        for embedding in (self.src_embedding, self.src_positions, self.tgt_embedding, self.tgt_positions):
            nn.init.normal_(embedding.weight, std=0.1)
        with torch.no_grad():
            self.src_embedding.weight[0] = self.tgt_embedding.weight[0] = 0
        self.into_encoder, self.out_of_encoder = nn.Linear(embed_dim, hidden_dim), nn.Linear(hidden_dim, embed_dim)
        self.into_decoder, self.out_of_decoder = nn.Linear(embed_dim, hidden_dim), nn.Linear(hidden_dim, embed_dim)
        self.encoder = nn.ModuleList(
            GatedConvolution(hidden_dim, kernel_size, causal=False, dropout=dropout) for _ in range(num_layers)
        )
        self.decoder = nn.ModuleList(
            GatedConvolution(hidden_dim, kernel_size, causal=True, dropout=dropout) for _ in range(num_layers)
        )
        self.queries = nn.ModuleList(nn.Linear(hidden_dim, embed_dim) for _ in range(num_layers))
        self.contexts = nn.ModuleList(nn.Linear(embed_dim, hidden_dim) for _ in range(num_layers))
        self.output = nn.Linear(embed_dim, tgt_vocab_size)

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """Source (B, S) and target so far (B, T), int64, to logits of the token after each, (B, T, V)."""
        return self.write(tgt_in, self.start(src))[0]

    def start(self, src: Tensor) -> State:
        """Read a source, int64 (B, S)."""
        _, mask = real_steps(src)
        place = torch.arange(src.size(1), device=src.device).expand(src.shape)
        embedded = self.embedded(self.src_embedding(src), self.src_positions, place)  # (B, S, E)
        hidden = self.into_encoder(embedded)  # (B, S, H)
        for convolution in self.encoder:
            hidden = (convolution(masked(hidden, mask, 0.0)) + hidden) * HALF
        keys = self.out_of_encoder(hidden)  # (B, S, E)
        before = hidden.new_zeros(hidden.size(0), self.kernel_size - 1, hidden.size(2))
        nowhere = torch.zeros_like(keys[:, :, 0])
        return keys, (keys + embedded) * HALF, mask, torch.zeros_like(src[:, 0]), nowhere, (before,) * len(self.decoder)

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more target token, int64 (B,): logits of the next one, (B, V), and the state after it."""
        logits, state = self.write(token.unsqueeze(1), state)
        return logits.squeeze(1), state

    def step_attention(self, state: State) -> Tensor:
        """How much the layers of the last step looked at each source token on average, (B, S)."""
        return state[4]

    def write(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Target tokens (B, T) and the state before them to logits (B, T, V) and the state after them."""
        keys, values, mask, first, _, before = state
        place = first.unsqueeze(1) + torch.arange(tokens.size(1), device=tokens.device)  # (B, T)
        embedded = self.embedded(self.tgt_embedding(tokens), self.tgt_positions, place)  # (B, T, E)
        hidden = self.into_decoder(embedded)  # (B, T, H)
        seen, looks = [], []
        layers = zip(self.decoder, self.queries, self.contexts, before, strict=True)
        for convolution, query, context, last in layers:
            assert isinstance(convolution, GatedConvolution)
            read = torch.cat([last, hidden], dim=1)  # (B, W - 1 + T, H)
            seen.append(read[:, read.size(1) - last.size(1) :])
            gated = convolution.gated(read)  # (B, T, H)
            asked = (query(gated) + embedded) * HALF  # (B, T, E)
            scores = (asked @ keys.transpose(1, 2)).masked_fill(~mask.unsqueeze(1), HIDDEN)
            weights = scores.softmax(dim=2)  # (B, T, S)
            looks.append(weights[:, -1])
            # The mean of S values has a variance of 1 / S at the beginning: the root of S scales it back.
            found = (weights @ values) * mask.sum(dim=1).sqrt().view(-1, 1, 1)
            hidden = ((gated + context(found)) * HALF + hidden) * HALF
        out = F.dropout(self.out_of_decoder(hidden), self.dropout, self.training)
        look = torch.stack(looks).mean(dim=0)
        return self.output(out), (keys, values, mask, place[:, -1] + 1, look, tuple(seen))

    def embedded(self, vectors: Tensor, positions: nn.Embedding, place: Tensor) -> Tensor:
        """Token vectors (B, T, E) plus the vectors of their places, int64 (B, T)."""
        known = place.clamp(max=positions.num_embeddings - 1)
        return F.dropout(vectors + positions(known), self.dropout, self.training)
