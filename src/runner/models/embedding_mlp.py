"""EmbeddingMLP: the vectors of all words of a text side by side, then dense layers.

Source: the course book's chapter 7, the first net for texts: an embedding of 8 numbers a word, flattened, one sigmoid
unit. Departure: one output a class (or target) instead of the sigmoid unit.

Shape letters: B batch, T time (words), L longest text, E embedding, H hidden units, K outputs.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.ranges import check_share, check_size


class EmbeddingMLP(nn.Module):
    """Scores of a short text; every position in the text has its own weights, so word order matters.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers returned for each text: classes or targets.
        max_len: words of the longest text; the rest is ignored.
        embed_dim: length of a word vector.
        hidden_dims: units of each dense layer before the output; none = the output follows at once.
        dropout: share of the word vectors and hidden units dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        max_len: int,
        embed_dim: int = 8,
        hidden_dims: list[int] | tuple[int, ...] = (),
        dropout: float = 0.0,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, max_len=max_len, embed_dim=embed_dim)
        for units in hidden_dims:
            check_size(hidden_dims=units)
        check_share(dropout=dropout)
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.max_len = max_len
        sizes = [max_len * embed_dim, *hidden_dims]
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        for inputs, units in pairwise(sizes):
            layers += [nn.Linear(inputs, units), nn.ReLU(), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(sizes[-1], num_outputs)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0 at the end, to scores (B, K)."""
        tokens = F.pad(tokens, (0, self.max_len))[:, : self.max_len]  # (B, L), whatever T is
        return self.output(self.hidden(self.embedding(tokens).flatten(1)))  # (B, K); the vector of padding is zero
