"""Nodes of a configuration as plain containers, and walking through them."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf


def as_dict(node: DictConfig, resolve: bool = False) -> dict[str, Any]:
    """Return a node as dicts, lists and values; interpolations stay unresolved unless `resolve`."""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=resolve))


def walk(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (place, value) of a plain node and everything inside it; places look like "callbacks.mine.names[0]"."""
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from walk(value, f"{path}[{number}]")


def flat(node: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return {"model.embed_dim": 128, ...}; lists, and empty mappings, are values."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        place = f"{path}{key}"
        found |= flat(value, f"{place}.") if isinstance(value, Mapping) and value else {place: value}
    return found


def targets(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (place, dotted path) of every `_target_` in a plain node."""
    for place, value in walk(node, path):
        if isinstance(value, dict) and "_target_" in value:
            yield place or "config", value["_target_"]
