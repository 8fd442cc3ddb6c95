"""Objects that nodes of a configuration describe; what their constructors refuse is a mistake of the user."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from runner.config.wording import show
from runner.errors import UserError, first_line

# Errors of whoever wrote a class: they are raised as they are and show their place.
SLIPS = (AttributeError, NameError, LookupError, AssertionError, NotImplementedError, SyntaxError)


def instance(node: Mapping[str, Any], key: str, **arguments: Any) -> Any:
    """Return the object that a node describes.

    Args:
        node: with `_target_`.
        key: where it is in the configuration, such as "optim".
        arguments: further ones of the constructor, or Hydra's own, such as _partial_.

    Raises:
        UserError: the constructor refuses its arguments.
    """
    with refusals(node, key):
        return instantiate(node, _convert_="all", **arguments)


@contextmanager
def refusals(node: Any, key: str) -> Iterator[None]:
    """Turn what a constructor or a function refuses into a mistake of the user that names the node and its settings.

    Args:
        node: with `_target_`, a `functools.partial`, or the dotted path of a function.
        key: where it is in the configuration, such as "optim".
    """
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error if isinstance(error, InstantiationException) else error
        if isinstance(cause, (UserError, *SLIPS)):
            raise cause from None
        raise UserError(as_mistake(cause, node, key)) from cause


def as_mistake(error: BaseException, node: Any, key: str) -> str:
    """Return what a constructor says and which of its settings that is about; without any, the largest: of memory."""
    settings = dict(node) if isinstance(node, Mapping) else getattr(node, "keywords", {})
    typed = {name: value for name, value in settings.items() if isinstance(value, int | float | str) and name[0] != "_"}
    text = re.sub(r"^\[enforce fail.*?\. ", "", first_line(error)).rstrip(".")  # torch's place in its own source
    about = [
        name
        for name, value in typed.items()
        if re.search(rf"(?<![\w.-])({re.escape(name)}|{re.escape(show(value))})(?![\w.])", text)
    ]
    if not about and "allocate" in text:
        about = [max((name for name in typed if not isinstance(typed[name], str)), key=typed.__getitem__, default="")]
    received = ", ".join(f"{key}.{name}={show(typed[name])}" for name in about if name)
    function = getattr(node, "func", None)
    target = settings.get("_target_") or (f"{function.__module__}.{function.__qualname__}" if function else node)
    found = f"{key} ({target}): {text}" + (f" (received {received})" if received else "")
    return f"{found}; --debug shows where" if isinstance(error, TypeError) else found
