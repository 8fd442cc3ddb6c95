"""The answers of a model: the label and the probability of every class, or the value of each target."""

from collections.abc import Iterable

from runner.datamodules.base import DataModule
from runner.errors import UserError


def class_names(data: DataModule) -> list[str]:
    """Names of the classes, in the order of their numbers."""
    if data.class_names is None:
        raise UserError("this data has no classes: leave task= out")
    return data.class_names


def value_names(data: DataModule) -> list[str]:
    """Names of the real-valued targets."""
    if data.target_names is None:
        raise UserError("this data has no real-valued targets: leave task= out")
    return data.target_names


def class_answers(names: list[str], labels: Iterable[int], probabilities: Iterable[list[float]]) -> list[dict]:
    """Return one row for each example.

    Args:
        names: of the classes.
        labels: the class decided for each example, (B,).
        probabilities: of the classes for each example, (B, K).
    """
    return [
        {"label": names[label]} | {f"probability_{name}": value for name, value in zip(names, row, strict=True)}
        for label, row in zip(labels, probabilities, strict=True)
    ]


def class_columns(names: list[str]) -> dict[str, str]:
    """Names and types of the columns of `class_answers`."""
    return {"label": "string"} | {f"probability_{name}": "double" for name in names}
