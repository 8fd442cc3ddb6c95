"""The answer of a net as a list of tensors."""

import math
from typing import Any

from torch import Tensor


def tensors_in(value: Any) -> list[Tensor]:
    """Return all tensors inside nested outputs, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in tensors_in(item)] if isinstance(value, list | tuple) else []


def relative_distance(ones: list[Tensor], others: list[Tensor]) -> float:
    """Return the largest difference of two lists of tensors relative to the largest number, if that is above 1.

    It is infinite for other shapes and where a number is NaN.
    """
    if [one.shape for one in ones] != [other.shape for other in others]:
        return math.inf
    worst = 0.0
    for one, other in zip(ones, others, strict=True):
        if one.numel():
            one, other = one.detach().double(), other.detach().double()
            apart = (one - other).abs().masked_fill(one == other, 0.0)  # equal infinities are equal
            scale = max(1.0, float(other.abs().nan_to_num(posinf=0.0).max()))
            worst = max(worst, float(apart.nan_to_num(nan=math.inf).max()) / scale)
    return worst
