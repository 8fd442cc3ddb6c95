"""Nodes of a configuration as plain containers, and walking through them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError
from omegaconf.resolvers import oc

from runner.errors import UserError


def as_dict(node: DictConfig, resolve: bool = False) -> dict[str, Any]:
    """Return a node as dicts, lists and values; interpolations stay unresolved unless `resolve`."""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=resolve))


def recordable(cfg: DictConfig, *keys: str) -> DictConfig:
    """Replace all interpolations by their values, except those that read the environment; return the same node.

    `${oc.env:TOKEN}` stays as it is and is looked up at every use, so that no file and no record holds its value.

    Args:
        cfg: the node.
        keys: do this for these keys only; none = all.

    Raises:
        UserError: naming the environment variable that is not set.
    """
    read: list[str] = []

    def noted(name: str, *default: Any) -> Any:
        read.append(name)
        return oc.env(name, *default)

    def settle(node: DictConfig | ListConfig, keys: Iterable[Any]) -> None:
        for key in keys:
            if not OmegaConf.is_interpolation(node, key):
                inner = node._get_node(key)
                if isinstance(inner, DictConfig | ListConfig) and not inner._is_none():
                    settle(inner, list(inner) if isinstance(inner, DictConfig) else range(len(inner)))
                continue
            read.clear()
            value = node[key]
            value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            if not read:
                node[key] = value

    OmegaConf.register_new_resolver("oc.env", noted, replace=True)
    try:
        settle(cfg, keys or list(cfg))
    except InterpolationResolutionError as error:
        problem = absent_variable(error)
        if problem is None:
            raise
        raise UserError(f"{error.full_key}: {problem}") from None
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
    return cfg


def absent_variable(error: Exception) -> str | None:
    """Return in words which environment variable an interpolation lacks, None if it fails for another reason."""
    found = re.search(r"Environment variable '(.*)' not found", str(error))
    return found and f"the environment variable {found[1]} is not set: export {found[1]}=..."


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
