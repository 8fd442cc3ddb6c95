"""A small encoder-decoder: one GRU reads, another writes and looks back at what was read.

Source of the attention: Luong, Pham and Manning 2015, arXiv:1508.04025.

Shape letters: B batch, S source tokens, T written tokens, E embedding, H hidden, V vocabulary.
"""

import torch
from torch import Tensor, nn

PAD = 0
State = tuple[Tensor, Tensor, Tensor]  # of the decoder (B, H); what was read (B, S, H); which of it is real (B, S)


class EncoderDecoder(nn.Module):
    """Maps source (B, S) and the text so far (B, T) to logits of each next token (B, T, V).

    Args:
        vocab_size: size V of the vocabulary, the same for both texts.
        embed_dim: size E of a token's vector.
        hidden_dim: units H of each GRU.
    """

    def __init__(self, vocab_size: int, embed_dim: int = 16, hidden_dim: int = 32):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=PAD)
        self.encoder = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.decoder = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.output = nn.Linear(2 * hidden_dim, vocab_size)

    def forward(self, source: Tensor, written: Tensor) -> Tensor:
        state, read, real = self.start(source)
        hidden, _ = self.decoder(self.embedding(written), state.unsqueeze(0))  # (B, T, H)
        return self.logits(hidden, read, real)

    def start(self, source: Tensor) -> State:
        """Read the source (B, S)."""
        real = source != PAD  # (B, S)
        read, _ = self.encoder(self.embedding(source))  # (B, S, H)
        last = (real.sum(dim=1) - 1).clamp(min=0)  # (B,)
        return read[torch.arange(source.size(0), device=source.device), last], read, real

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token more of the text so far (B,); logits of the next one (B, V)."""
        before, read, real = state
        hidden, after = self.decoder(self.embedding(token.unsqueeze(1)), before.unsqueeze(0).contiguous())
        return self.logits(hidden, read, real).squeeze(1), (after.squeeze(0), read, real)

    def logits(self, hidden: Tensor, read: Tensor, real: Tensor) -> Tensor:
        """Look back from each step (B, T, H) at what was read; (B, T, V)."""
        scores = hidden @ read.transpose(1, 2)  # (B, T, S)
        weights = scores.masked_fill(~real.unsqueeze(1), -1e9).softmax(dim=2)
        return self.output(torch.cat([hidden, weights @ read], dim=2))
