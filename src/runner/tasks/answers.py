"""What a classifier answers for an example: the label and the probability of every class."""

from collections.abc import Iterable


def class_answers(names: list[str], labels: Iterable[int], probabilities: Iterable[list[float]]) -> list[dict]:
    """One row an example.

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
