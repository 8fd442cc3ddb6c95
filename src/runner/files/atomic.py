"""Writing a file in one step: at any moment, even after a kill, either the old or the new file is there, complete."""

import os
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write to a file next to it, sync, and rename; a missing folder is created."""
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(part, "wb") as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
