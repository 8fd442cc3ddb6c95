"""What a net answers, looked at as a list of tensors."""

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
    """Return the largest difference of two lists of tensors relative to the largest number; inf for other shapes."""
    if [tuple(one.shape) for one in ones] != [tuple(other.shape) for other in others]:
        return float("inf")
    worst = 0.0
    for one, other in zip(ones, others, strict=True):
        if one.numel():
            scale = max(1.0, float(other.abs().max()))
            worst = max(worst, float((one.double() - other.double()).abs().max()) / scale)
    return worst
