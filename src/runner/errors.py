"""Errors that users can correct, and suggestions for what they may have meant."""

import os
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A mistake the user can correct: printed without a traceback, with exit code 2."""


def print_mistake(error: UserError) -> None:
    """Print a mistake of the user; with the traceback after `--debug`."""
    if os.environ.get("RUNNER_DEBUG"):
        traceback.print_exc()
    print(f"runner: {error}", file=sys.stderr)


def closest(name: str, allowed: Iterable[str]) -> str:
    """Return ' Did you mean "x"?' for the allowed spelling closest to `name`, or "" if none is close."""
    matches = get_close_matches(str(name), [str(choice) for choice in allowed], n=1, cutoff=0.6)
    return f' Did you mean "{matches[0]}"?' if matches else ""


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says, without the statements and links that may follow."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:500]


def user_error(error: BaseException | None) -> UserError | None:
    """Return the UserError among an exception and its causes: OmegaConf wraps what a resolver raises; None = none."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error
