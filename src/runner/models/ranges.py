"""Checks of constructor arguments, so that a value out of range is named where it was given."""

from collections.abc import Iterable


def check_size(minimum: int = 1, **sizes: int) -> None:
    """Raise ValueError unless every size is at least `minimum`."""
    for name, size in sizes.items():
        if size < minimum:
            raise ValueError(f"{name} must be at least {minimum}, received {size}")


def check_share(**shares: float) -> None:
    """Raise ValueError unless every share is in [0, 1)."""
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be in [0, 1), received {share}")


def check_choice(allowed: Iterable[str], **choices: str) -> None:
    """Raise ValueError unless every choice is one of those allowed."""
    for name, choice in choices.items():
        if choice not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, received {choice!r}")
