"""Follow names through source files as Python's import system would, without importing anything.

Packages, re-exports, `import *` and base classes are read from syntax trees: parsing the one file that defines a class
costs milliseconds, importing torch to ask it costs seconds.
"""

import ast
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NoReturn

from runner.errors import closest


class TargetError(LookupError):
    """A dotted path that leads nowhere; the message says where it breaks off and suggests a similar name."""


class Module:
    """One module's source: what each of its top-level names is bound to."""

    def __init__(self, name: str, path: Path | None, folders: list[str]):
        self.name, self.path, self.folders = name, path, folders
        self.stars: list[str] = []  # modules whose names are imported by *; known once `names` has been read

    @cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree, or None for a compiled module or a folder without __init__.py."""
        if self.path is None or self.path.suffix != ".py":
            return None
        try:
            return ast.parse(self.path.read_bytes(), filename=str(self.path))
        except SyntaxError as error:
            raise TargetError(f"{self.path}, line {error.lineno}: {error.msg}.") from error

    @cached_property
    def names(self) -> dict[str, ast.AST | tuple[str, str]]:
        """{name: its definition, or (module, name there) for an import; ("module", "") for a whole module}."""
        names: dict[str, ast.AST | tuple[str, str]] = {}
        for node in _statements(self.tree.body if self.tree else []):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                if not isinstance(names.get(node.name), ast.ClassDef):
                    names[node.name] = node  # the last one: earlier ones may be @overload
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        names.setdefault(target.id, node.value)  # the first one: an `except ImportError:` may follow
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    names.setdefault(alias.asname or top, (alias.name if alias.asname else top, ""))
            elif isinstance(node, ast.ImportFrom):
                source = self._absolute(node)
                for alias in node.names:
                    if alias.name == "*":
                        self.stars.append(source)
                    else:
                        names.setdefault(alias.asname or alias.name, (source, alias.name))
        return names

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") if self.folders else self.name.split(".")[:-1]
        package = package[: len(package) - node.level + 1]
        return ".".join([*package, node.module] if node.module else package)

    @property
    def opaque(self) -> bool:
        """True if names may exist that the source does not show."""
        if self.path is None:
            return False
        if self.tree is None or "__getattr__" in self.names:
            return True
        return "sys.modules[__name__]" in self.path.read_text(encoding="utf-8", errors="replace")


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield a module's statements, those inside `if`, `try` and `with` too."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _statements(node.body)
            yield from _statements(getattr(node, "orelse", []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


@cache
def module_named(name: str) -> Module | None:
    """Return a module's source by its dotted name, importing nothing; None if there is no such module."""
    parent, _, last = name.rpartition(".")
    if parent:
        package = module_named(parent)
        finders = [pkgutil.get_importer(folder) for folder in package.folders] if package else []
        spec = next((found for finder in finders if finder and (found := finder.find_spec(name))), None)
    else:
        try:
            spec = importlib.util.find_spec(name)  # a top-level name is looked up, not imported
        except (ValueError, ImportError):
            spec = None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or [])
    if spec.origin and spec.has_location:
        return Module(name, Path(spec.origin), folders)
    return Module(name, None if folders else Path(spec.origin or last), folders)  # a folder; or built into Python


def follow_path(parts: list[str]) -> "Module | tuple[Module, ast.AST]":
    """Follow a dotted path to a module, or to (module, definition)."""
    module = module_named(parts[0])
    if module is None:
        near = closest(parts[0], (info.name for info in pkgutil.iter_modules(sys.path)))
        raise TargetError(f'There is no module "{parts[0]}" on the Python path.{near}')
    for index, part in enumerate(parts[1:], 1):
        inner = module_named(f"{module.name}.{part}")
        is_last = index == len(parts) - 1
        if inner is not None and not is_last:
            module = inner
            continue
        found = _lookup(module, part) or inner
        misspelt = isinstance(found, tuple) and part not in module.names and not is_last
        if found is None or (misspelt and closest(part, _inner_modules(module))):
            _nowhere(module, part, is_last)
        if isinstance(found, Module):
            module = found
            continue
        return _member(found, parts[index + 1 :])
    return module


def _inner_modules(module: Module) -> list[str]:
    return [info.name for info in pkgutil.iter_modules(module.folders)]


def _nowhere(module: Module, part: str, is_last: bool) -> NoReturn:
    modules = _inner_modules(module)
    names = [name for name in module.names if not name.startswith("_")]
    if is_last and module.path is not None:
        what = f"The module {module.name} has no {part}."
    else:
        what = f'There is no module "{module.name}.{part}".'
    raise TargetError(what + closest(part, names + modules if is_last else modules))


def _member(found: "tuple[Module, ast.AST]", rest: list[str]) -> "tuple[Module, ast.AST]":
    """Follow the rest of a path inside a class (a class method, a nested class)."""
    module, node = found
    for part in rest:
        if not isinstance(node, ast.ClassDef):
            return module, ast.Pass()
        inner = next((item for item in node.body if getattr(item, "name", None) == part), None)
        if inner is None:
            if node.bases:
                return module, ast.Name(part)  # perhaps inherited: the constructor will tell
            names = [item.name for item in node.body if isinstance(item, (ast.FunctionDef, ast.ClassDef))]
            raise TargetError(f"The class {module.name}.{node.name} has no {part}.{closest(part, names)}")
        node = inner
    return module, node


@cache
def _lookup(
    module: Module, name: str, seen: frozenset[tuple[str, str]] = frozenset()
) -> "Module | tuple[Module, ast.AST] | None":
    """Return what a module's top-level name refers to, following imports; None if it has no such name.

    Args:
        module: where to look.
        name: the name that is looked up.
        seen: (module, name) that were looked up on the way here: modules may import from each other in a circle.
    """
    if (module.name, name) in seen:
        return None
    seen |= {(module.name, name)}
    entry = module.names.get(name)
    if isinstance(entry, tuple):
        source, attribute = entry
        inner = module_named(source)
        if inner is None:
            return module, ast.Pass()  # imported from a package that is not installed
        if not attribute:
            return inner
        if inner is module:  # `from . import name` in __init__.py
            return module_named(f"{source}.{attribute}")
        return _lookup(inner, attribute, seen) or module_named(f"{source}.{attribute}") or (module, ast.Pass())
    if isinstance(entry, (ast.Name, ast.Attribute)):
        return resolve(module, entry) or (module, entry)
    if entry is not None:
        return module, entry
    for source in module.stars:
        inner = module_named(source)
        if inner is not None and inner is not module and (found := _lookup(inner, name, seen)) is not None:
            return found
    return (module, ast.Pass()) if module.opaque else None


def resolve(module: Module, node: ast.AST) -> "Module | tuple[Module, ast.AST] | None":
    """Return what an expression such as `nn.Module` refers to inside a module."""
    path = dotted(node)
    entry = module.names.get(path[0]) if path else None
    if not path or (isinstance(entry, ast.Name) and entry.id == path[0]):  # not a name, or `x = x`
        return None
    if len(path) > 1 and isinstance(entry, tuple):
        inner = module_named(".".join(filter(None, entry)))  # `from torch import nn`: no need to read torch/__init__.py
        found = inner or _lookup(module, path[0])
    else:
        found = _lookup(module, path[0])
    for part in path[1:]:
        if not isinstance(found, Module):
            return None
        found = _lookup(found, part) or module_named(f"{found.name}.{part}")
    return found


def dotted(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return [*head, node.attr]
    return []
