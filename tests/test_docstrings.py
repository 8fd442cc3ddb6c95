"""The `Args:` block of a class names exactly the arguments of its constructor, in order."""

import dataclasses
import importlib
import inspect
import pkgutil

import pytest

import runner.datamodules
import runner.models
import runner.tasks
from runner.config.signatures import describe_arguments, find


def public_classes() -> list[type]:
    """The classes of models, tasks and datamodules that are built with arguments; plain named tuples and
    `_helpers` are not."""
    found = []
    for package in (runner.models, runner.tasks, runner.datamodules):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            members = vars(importlib.import_module(module.name)).items()
            found += [
                value
                for name, value in members
                if inspect.isclass(value) and value.__module__ == module.name
                if not name.startswith("_") and not issubclass(value, tuple)
            ]
    return found


@pytest.mark.parametrize("cls", public_classes(), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_docstring_names_the_arguments(cls: type) -> None:
    assert cls.__doc__, "every public class says what it is"
    if getattr(cls, "_is_protocol", False):
        return
    meanings = describe_arguments(find(f"{cls.__module__}.{cls.__qualname__}").doc)
    arguments = inspect.signature(cls).parameters
    if dataclasses.is_dataclass(cls):  # the bases come first there, be they said again or not
        assert sorted(meanings) == sorted(arguments)
    else:
        assert list(meanings) == list(arguments)
    kinds = {parameter.kind for parameter in arguments.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds, "**kwargs would let a misspelt key pass"
    short = [name for name, meaning in meanings.items() if not meaning.strip()]
    assert not short, f"no meaning is given for {short}"


def test_every_module_says_what_it_is() -> None:
    for package in (runner.models, runner.tasks, runner.datamodules):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            text = importlib.import_module(module.name).__doc__
            assert module.ispkg or (text and text.strip()), f"{module.name} has no docstring"
