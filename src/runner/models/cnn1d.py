"""Convolution over time: a classifier of windows of several signals.

Source: the course book, chapter 5, section 6 (activity recognition from a smartphone); the layer as in Waibel et al.,
Phoneme recognition using time-delay neural networks, IEEE TASSP 37, 1989, doi:10.1109/29.21701. Departure: the dense
layer is drawn by He et al. 2015, arXiv:1502.01852.

Shape letters: B batch, T steps, C channels, N filters, H hidden units, K outputs.
"""

import torch
from torch import Tensor, nn

from runner.models.ranges import check_share, check_size


class CNN1d(nn.Module):
    """Logits of a window from one convolution over time, pooling and a dense layer.

    Args:
        num_steps: steps of a window.
        num_channels: signals of a window.
        num_outputs: numbers returned for each window: classes or targets.
        num_filters: filters of the convolution.
        kernel_size: steps a filter spans; the borders are not padded.
        dropout: share of the convolution's outputs dropped in training, in [0, 1).
        pool_size: neighbouring steps of which the largest is kept.
        hidden_dim: units of the dense layer.

    Raises:
        ValueError: a size below 1, a filter or a pool longer than the window, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        num_steps: int,
        num_channels: int,
        num_outputs: int,
        num_filters: int = 64,
        kernel_size: int = 3,
        dropout: float = 0.5,
        pool_size: int = 2,
        hidden_dim: int = 100,
    ):
        super().__init__()
        check_size(num_steps=num_steps, num_channels=num_channels, num_outputs=num_outputs)
        check_size(num_filters=num_filters, kernel_size=kernel_size, pool_size=pool_size, hidden_dim=hidden_dim)
        check_share(dropout=dropout)
        pooled = (num_steps - kernel_size + 1) // pool_size
        if pooled < 1:
            raise ValueError(
                f"kernel_size={kernel_size} and pool_size={pool_size} leave nothing of windows of {num_steps} steps"
            )
        self.convolution = nn.Conv1d(num_channels, num_filters, kernel_size)
        self.dropout = nn.Dropout(dropout)
        self.pool = nn.MaxPool1d(pool_size)
        self.dense = nn.Linear(num_filters * pooled, hidden_dim)
        self.output = nn.Linear(hidden_dim, num_outputs)
        nn.init.kaiming_normal_(self.dense.weight, nonlinearity="relu")
        nn.init.zeros_(self.dense.bias)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (B, T, C) to logits (B, K)."""
        maps = torch.relu(self.convolution(windows.transpose(1, 2)))  # (B, N, T - kernel_size + 1)
        maps = self.pool(self.dropout(maps))
        return self.output(torch.relu(self.dense(maps.flatten(1))))
