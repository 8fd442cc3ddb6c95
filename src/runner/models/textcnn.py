"""TextCNN: convolutions of several widths over word embeddings, then the maximum over time.

Source: Yoon Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014, arXiv:1408.5882,
section 2, with the four variants of section 3.1. Departures: limiting the norm of the output weights (section 2.1) is
left to the regulariser (regularise.max_norm), the optimizer is chosen freely instead of AdaDelta; with two channels
a filter has separate weights for each, as for the channels of an image.

Shape letters: B batch, T time (words), E embedding, C channels, N filters of one width, w width in words, K outputs.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.windows import at_least, max_over_time
from runner.models.ranges import check_choice, check_share, check_size

MODES = ("rand", "static", "non_static", "multichannel")


class TextCNN(nn.Module):
    """Scores of a sentence from its most striking windows of words.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers returned for each sentence: classes or targets.
        embed_dim: length of a word vector.
        num_filters: filters of each width.
        kernel_sizes: widths of the windows, in words.
        dropout: share of the pooled features dropped in training, in [0, 1).
        mode: where word vectors come from: rand (learned from scratch), static (given ones that stay fixed),
            non_static (given ones that are trained on), multichannel (both side by side).

    Raises:
        ValueError: a size below 1, no kernel sizes, a dropout outside [0, 1), or an unknown mode.
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        embed_dim: int = 128,
        num_filters: int = 100,
        kernel_sizes: list[int] | tuple[int, ...] = (3, 4, 5),
        dropout: float = 0.5,
        mode: Literal["rand", "static", "non_static", "multichannel"] = "rand",
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs)
        check_size(embed_dim=embed_dim, num_filters=num_filters)
        if not kernel_sizes or min(kernel_sizes) < 1:
            raise ValueError(f"kernel_sizes must be widths of at least 1, received {list(kernel_sizes)}")
        check_share(dropout=dropout)
        check_choice(MODES, mode=mode)
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.embedding.weight.requires_grad = mode != "static"
        self.fixed = word_embedding(vocab_size, embed_dim) if mode == "multichannel" else None
        if self.fixed is not None:
            self.fixed.weight.requires_grad = False
        width = embed_dim * (2 if mode == "multichannel" else 1)  # C * E
        self.convolutions = nn.ModuleList(nn.Conv1d(width, num_filters, size) for size in kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(num_filters * len(kernel_sizes), num_outputs)
        self.widest = max(kernel_sizes)
        self.needs_vectors = mode != "rand"

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E), in both channels if there are two.

        Raises:
            ValueError: the vectors do not fit, or the mode is rand.
        """
        if not self.needs_vectors:
            raise ValueError("mode=rand learns word vectors from scratch: type model.mode=non_static, or static")
        load_vectors(self.embedding, matrix)
        if self.fixed is not None:
            load_vectors(self.fixed, matrix)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0 at the end, to scores (B, K)."""
        tokens = at_least(tokens, self.widest)  # (B, T)
        words = self.embedding(tokens)  # (B, T, E)
        if self.fixed is not None:
            words = torch.cat([words, self.fixed(tokens)], dim=2)  # (B, T, C * E)
        words = words.transpose(1, 2)  # (B, C * E, T)
        pooled = [max_over_time(convolve(words), tokens) for convolve in self.convolutions]  # each (B, N)
        # ReLU after the maximum gives the same features as before it (equation 2), on T times fewer numbers.
        features = F.relu(torch.cat(pooled, dim=1))  # (B, N * widths)
        return self.output(self.dropout(features))  # (B, K)
