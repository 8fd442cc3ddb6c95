"""Writing a file in one step: at any moment, even after a kill, either the old or the new file is there, complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, older: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` once it is complete and on the disk; its folder may be missing.

    Args:
        path: what is written.
        older: the name that the file it replaces gets; None = that one is removed.
    """
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(exist_ok=True)
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if older is not None and path.exists():
            os.replace(path, older)
        os.replace(part, path)
    except Exception:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write to a file next to it, sync, and rename; missing folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
