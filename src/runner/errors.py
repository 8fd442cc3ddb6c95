"""Errors that users can correct, and suggestions for what they may have meant."""

import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from errno import EACCES, EDQUOT, EFBIG, ENOENT, ENOSPC, EPERM, EROFS
from pathlib import Path

FULL = (ENOSPC, EDQUOT, EFBIG)  # what a system answers when nothing more can be written
CLOSED = (EROFS, EACCES, EPERM)  # ... and when this folder cannot be written
GONE = (ENOENT,)


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


def storage_error(error: BaseException | None, folder: Path, then: str) -> UserError | None:
    """Return what to say if an exception, or a cause of it, is the system's word that a file cannot be written.

    Libraries wrap that word in their own, torch in two different ones.

    Args:
        error: the exception; None = there is none.
        folder: where the files are that were being written.
        then: what to do as soon as they can be written.

    Returns:
        None for any other exception.
    """
    known = (*FULL, *CLOSED, *GONE)
    error = next((each for each in chain_of(error) if _system_error(each) in known), None)
    if error is None:
        return None
    number = _system_error(error)
    named = getattr(error, "filename", None)
    place = next(there for there in (folder, *folder.absolute().parents) if there.is_dir())
    if number in FULL:
        free = shutil.disk_usage(place).free / 2**20
        return UserError(f"the disk of {place} is full, {free:.1f} MB are free. Make space, then {then}")
    if number in CLOSED:
        reason = os.strerror(number).lower()
        return UserError(f"{Path(named or place).absolute()} cannot be used: {reason}. Start in a folder of yours")
    return None if place == folder else UserError(f"the folder {folder} was deleted. To begin anew, {then}")


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and what caused it, each once: one that is raised again may be its own cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _system_error(error: BaseException) -> int | None:
    """Return the system's error number; libraries written in Rust only say it in their text."""
    told = re.search(r"\(os error (\d+)\)", str(error))
    return error.errno if isinstance(error, OSError) else int(told[1]) if told else None


def user_error(error: BaseException | None) -> UserError | None:
    """Return the UserError among an exception and its causes: OmegaConf wraps what a resolver raises; None = none."""
    return next((each for each in chain_of(error) if isinstance(each, UserError)), None)
