"""Gated convolutions over tokens.

Source: Dauphin et al. 2017, arXiv:1612.08083 (gated linear units); Gehring et al. 2017, arXiv:1705.03122, section 3.

Shape letters: B batch, T tokens, C channels.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HALF = math.sqrt(0.5)  # keeps the variance of a sum of two


class GatedConvolution(nn.Module):
    """A convolution to twice as many channels, of which one half opens and closes the other: (B, T, C) to (B, T, C).

    Args:
        channels: C.
        kernel_size: tokens it sees at once, at least 1; odd unless it is causal.
        causal: whether it sees only the tokens up to its own.
        dropout: share of its inputs dropped in training.

    Raises:
        ValueError: an even kernel_size where both sides are seen.
    """

    def __init__(self, channels: int, kernel_size: int, causal: bool, dropout: float = 0.0):
        super().__init__()
        if not causal and kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, received {kernel_size}")
        self.before = kernel_size - 1 if causal else kernel_size // 2
        self.after = 0 if causal else kernel_size // 2
        self.dropout = dropout
        self.convolution = nn.utils.parametrizations.weight_norm(nn.Conv1d(channels, 2 * channels, kernel_size))
        deviation = math.sqrt(4 * (1 - dropout) / (kernel_size * channels))
        with torch.no_grad():
            self.convolution.weight = torch.randn_like(self.convolution.weight) * deviation
            nn.init.zeros_(self.convolution.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Tokens beyond either end count as zeros."""
        return self.gated(F.pad(inputs, (0, 0, self.before, self.after)))

    def gated(self, inputs: Tensor) -> Tensor:
        """The convolution without padding: (B, T + kernel_size - 1, C) to (B, T, C)."""
        dropped = F.dropout(inputs, self.dropout, self.training)
        return F.glu(self.convolution(dropped.transpose(1, 2)).transpose(1, 2), dim=2)
