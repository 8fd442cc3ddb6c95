"""Quadratic: a net of one weight w that answers a*w^2 + b*w + c; minimising the answer finds the lowest point.

Source: gradient descent on a parabola, as in the course book, chapter 2; Cauchy 1847. The task is `minimise`.

Shape letters: B batch.
"""

import torch
from torch import Tensor, nn


class Quadratic(nn.Module):
    """The value of a parabola at w, where w is the only parameter.

    Args:
        in_features: numbers of an example: the coefficients a, b and c, so 3.
        start: where w begins.

    Raises:
        ValueError: another number of coefficients.
    """

    def __init__(self, in_features: int = 3, start: float = 0.0):
        super().__init__()
        if in_features != 3:
            raise ValueError(f"in_features must be 3, the coefficients a, b and c, received {in_features}")
        self.w = nn.Parameter(torch.tensor(float(start)))

    def forward(self, coefficients: Tensor) -> Tensor:
        """Coefficients (B, 3) to a*w^2 + b*w + c, (B, 1)."""
        return coefficients @ torch.stack([self.w**2, self.w, torch.ones_like(self.w)])[:, None]

    def fitted(self) -> dict[str, float]:
        """The place that was found."""
        return {"w": self.w.item()}
