"""Prepared data and fetched files, kept between runs in one folder, safe with concurrent writers."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from runner.errors import UserError

FORMAT = 1  # raise it when the layout or meaning of prepared files changes: old ones are then ignored


def folder() -> Path:
    """Return the cache folder: the environment variable RUNNER_CACHE, or ~/.cache/runner."""
    return Path(os.environ.get("RUNNER_CACHE") or Path.home() / ".cache" / "runner")


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def key(settings: dict) -> str:
    """Return a short name for all the settings that determine the prepared data (JSON-able values)."""
    text = json.dumps({"format": FORMAT, **settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path` (a file next to it), so that only one process at a time creates it.

    Raises:
        UserError: the cache folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock")).acquire()
    except OSError as error:
        raise UserError(
            f"The cache folder {folder()} cannot be written ({error.strerror or error}). "
            f"Set the environment variable RUNNER_CACHE to a folder that can."
        ) from error
    with lock:
        yield


def prepared(name: str, settings: dict, write: Callable[[Path], object]) -> Path:
    """Return the folder of data prepared with these settings, created by `write(folder)` if it is not there yet.

    The folder is filled under another name and renamed when complete, so a reader never sees half of it,
    even after a kill. If several processes want the same folder, one creates it and the others wait.

    Args:
        name: readable beginning of the folder's name.
        settings: the digest of the source and every setting that matters, JSON-able.
        write: fills an empty folder.
    """
    target = folder() / "prepared" / f"{name}-{key(settings)}"
    if target.exists():
        return target
    with locked(target):
        if not target.exists():
            unfinished = target.with_name(f".{target.name}.part")
            shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed
            unfinished.mkdir()
            try:
                write(unfinished)
                unfinished.rename(target)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return target
