"""Values and errors as a user reads and types them."""

from collections.abc import Iterable
from typing import Any


def show(value: Any) -> str:
    """Return a value as it would be typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(show, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{show(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def one_line(error: Exception) -> str:
    """Return an error of Hydra, OmegaConf or YAML as one line, without search paths and object dumps."""
    text = str(error).split("Config search path")[0].split("\n    full_key")[0]
    text = " ".join(line.strip() for line in text.splitlines() if line.strip())
    return text or type(error).__name__


def joined(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
