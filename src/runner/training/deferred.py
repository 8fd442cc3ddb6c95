"""Two modules that Lightning imports but training does not use, loaded only when they are needed.

`import pytorch_lightning` takes longer than `import torch`; most of that is torch._dynamo (the compiler, for one class
in an `isinstance`; optimizers use two of its functions, which do nothing unless something is compiled) and scipy.signal
(torchmetrics checks whether a function still has its old name). After `defer()` both are modules that hold these few
names; asking for any other name, or for a module inside, executes the real one.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache, wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from types import FunctionType, ModuleType
from typing import Any

LOCK = threading.RLock()


class Deferred(ModuleType):
    """A module that is executed when a name is requested that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # something inspects all modules
            raise AttributeError(name)
        fill(self)
        return getattr(self, name)


def fill(module: ModuleType) -> None:
    """Make a deferred module the real one; any other module is left unchanged."""
    with LOCK:
        if not isinstance(module, Deferred):
            return
        spec = module.__spec__
        assert spec is not None and isinstance(spec.loader, Waiting)
        module.__loader__ = spec.loader = spec.loader.real
        module.__class__ = ModuleType  # type: ignore[assignment]  # of this one object, as Python lets modules do
        held = {name: vars(module).pop(name) for name in HELD[spec.name]}
        spec.loader.exec_module(module)
        for name, value in held.items():
            vars(module).setdefault(name, value)


class Waiting(Loader):
    """Creates a deferred module, which the real loader will execute."""

    def __init__(self, real: Loader):
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Deferred(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(HELD[module.__name__])


class There(Loader):
    """Returns a module that was imported while it was being searched for."""

    def __init__(self, module: ModuleType):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class Finder(MetaPathFinder):
    """Finds the modules of `HELD` as deferred ones; a module inside one of them first needs the real one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if isinstance(parent, Deferred):
            fill(parent)
            if fullname not in sys.modules:
                return None
            module = sys.modules[fullname]
            module.__spec__ = spec_from_loader(fullname, There(module))  # this is the one that Python then uses
            return module.__spec__
        if fullname not in HELD:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = Waiting(spec.loader)
        return spec


def defer() -> None:
    """Import the modules of `HELD` only when they are used, from now on."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


# What the deferred modules contain.


class OfDynamo(type):
    """Makes `isinstance` answer as for the real class: nothing is compiled before torch._dynamo is there."""

    def __instancecheck__(cls, instance: object) -> bool:
        dynamo = sys.modules["torch._dynamo"]
        return not isinstance(dynamo, Deferred) and isinstance(instance, dynamo.OptimizedModule)


class OptimizedModule(metaclass=OfDynamo):
    """Stands for the class of compiled modules."""


def graph_break(msg: str = "") -> None:
    """Does nothing, as the real one outside a compiled function."""


def disable(function: Callable | None = None, *arguments: Any, **options: Any) -> Any:
    """Call a function unchanged until there is a compiler that must not trace it."""
    dynamo = import_module("torch._dynamo")
    if not isinstance(function, FunctionType):
        fill(dynamo)
        return dynamo.disable(function, *arguments, **options)
    marked = cache(lambda: dynamo.disable(function, *arguments, **options))

    @wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        return (function if isinstance(dynamo, Deferred) else marked())(*values, **named)

    return call


def hamming(*arguments: Any, **options: Any) -> Any:
    """The window under the name it had in older releases, which torchmetrics sets."""
    return import_module("scipy.signal.windows").hamming(*arguments, **options)


HELD: dict[str, dict[str, Any]] = {
    "torch._dynamo": {"OptimizedModule": OptimizedModule, "graph_break": graph_break, "disable": disable},
    "scipy.signal": {"hamming": hamming},
}
