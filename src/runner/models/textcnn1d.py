"""TextCNN1d: one convolution over word embeddings, the maximum over time, one dense layer.

Source: the course book's chapter 7, whose listing has the shape of Keras' example "Conv1D for text
classification" (embedding 50, dropout, 250 filters of width 3, global max pooling, dense 250, dropout).
Departures: padding is left out of the maximum; one output a class (or target) instead of a sigmoid.

Shape letters: B batch, T time (words), E embedding, N filters, w width in words, H hidden units, K outputs.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.windows import at_least, max_over_time
from runner.models.ranges import check_share, check_size


class TextCNN1d(nn.Module):
    """Scores of a text from the strongest answer of each filter.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers returned for each text: classes or targets.
        embed_dim: length of a word vector.
        num_filters: filters of the convolution.
        kernel_size: width of a window, in words.
        hidden_dim: units of the dense layer.
        dropout: share of the embeddings and of the hidden units dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        embed_dim: int = 50,
        num_filters: int = 250,
        kernel_size: int = 3,
        hidden_dim: int = 250,
        dropout: float = 0.2,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, embed_dim=embed_dim, num_filters=num_filters)
        check_size(kernel_size=kernel_size, hidden_dim=hidden_dim)
        check_share(dropout=dropout)
        self.embedding = word_embedding(vocab_size, embed_dim, reach=0.05)  # as Keras draws them
        self.convolution = nn.Conv1d(embed_dim, num_filters, kernel_size)
        self.hidden = nn.Linear(num_filters, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dim, num_outputs)
        self.kernel_size = kernel_size

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0 at the end, to scores (B, K)."""
        tokens = at_least(tokens, self.kernel_size)  # (B, T)
        words = self.dropout(self.embedding(tokens)).transpose(1, 2)  # (B, E, T)
        features = F.relu(max_over_time(self.convolution(words), tokens))  # (B, N)
        hidden = F.relu(self.dropout(self.hidden(features)))  # (B, H)
        return self.output(hidden)  # (B, K)
