"""TextCNN: convolutions of several widths over word embeddings, then the maximum over time.

Source: Yoon Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014, arXiv:1408.5882,
section 2 (the variant CNN-rand: embeddings are learnt from scratch). Departures: the norm of the output
weights is not limited to 3 (section 2.1); the optimizer is the task's business, not AdaDelta by rule.

Shape letters: B batch, T time (words), E embedding, N filters of one width, w width in words, K outputs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.windows import at_least, max_over_time
from runner.models.ranges import check_share, check_size


class TextCNN(nn.Module):
    """Scores of a sentence from its most striking windows of words.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers returned for each sentence: classes or targets.
        embed_dim: length of a word vector.
        num_filters: filters of each width.
        kernel_sizes: widths of the windows, in words.
        dropout: share of the pooled features dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, no kernel size at all, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        embed_dim: int = 128,
        num_filters: int = 100,
        kernel_sizes: list[int] | tuple[int, ...] = (3, 4, 5),
        dropout: float = 0.5,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs)
        check_size(embed_dim=embed_dim, num_filters=num_filters)
        if not kernel_sizes or min(kernel_sizes) < 1:
            raise ValueError(f"kernel_sizes must be widths of at least 1, received {list(kernel_sizes)}")
        check_share(dropout=dropout)
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(embed_dim, num_filters, width) for width in kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(num_filters * len(kernel_sizes), num_outputs)
        self.widest = max(kernel_sizes)
        # The range of the author's own code; torch's N(0, 1) costs about three points of accuracy.
        nn.init.uniform_(self.embedding.weight[1:], -0.25, 0.25)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0 at the end, to scores (B, K)."""
        tokens = at_least(tokens, self.widest)  # (B, T)
        words = self.embedding(tokens).transpose(1, 2)  # (B, E, T)
        pooled = [max_over_time(convolve(words), tokens) for convolve in self.convolutions]  # each (B, N)
        # ReLU after the maximum gives the same features as before it (equation 2), on T times fewer numbers.
        features = F.relu(torch.cat(pooled, dim=1))  # (B, N * widths)
        return self.output(self.dropout(features))  # (B, K)
