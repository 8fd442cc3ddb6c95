"""Functions that a configuration names: one of a few known ones, or any other one by its dotted path or as a node."""

from collections.abc import Callable, Mapping
from typing import Any

from hydra.utils import get_object

from runner.config import safety
from runner.config.instances import instance, refusals
from runner.errors import UserError, closest

DottedPath = str  # "package.module.function"; the static check knows it by this name (see runner.config.signatures)


def function(choice: str | dict[str, Any], known: Mapping[str, Callable], key: str) -> Callable:
    """Return the function that `choice` names.

    Args:
        choice: a name in `known`, a dotted path such as "mine.my_loss", or a node with `_target_` (a class is built
            with its arguments and then called; a function that takes further arguments needs `_partial_: true`).
        known: the functions that need no path.
        key: of the configuration, for messages, such as "task.loss".

    Raises:
        UserError: nothing has that name.
    """
    if isinstance(choice, Mapping):
        found = instance(choice, key)
    elif choice in known:
        return known[choice]
    elif "." in choice:
        safety.check_function(key, choice, safety.FUNCTIONS)
        try:
            found = get_object(choice)
        except Exception as error:  # whatever importing the user's own module raises
            raise UserError(f"{key}={choice}: {error}") from error
    else:
        allowed = ", ".join([*known, "or the dotted path of your own function"])
        raise UserError(f"{key}={choice} is not known.{closest(choice, known)} Allowed: {allowed}.")
    if isinstance(found, type):
        with refusals(choice, key):
            found = found()
    if not callable(found):
        raise UserError(f"{key}={choice} is a {type(found).__name__}, which cannot be called")
    return found
