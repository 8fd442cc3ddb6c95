"""What a class or function takes, read from its source file without importing it.

A config names classes by dotted path (`_target_: torch.optim.Adam`). The path is followed to the class (source.py); its
constructor, which may be inherited or follow from the fields of a dataclass, is read from the syntax tree.

Decorators are assumed to keep the signature, as `functools.wraps` does. Where the source cannot tell (compiled modules,
names created at run time) the signature is `open`: anything is accepted, and the constructor itself decides.
"""

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from runner.config.source import Module, TargetError, dotted, follow_path, resolve
from runner.errors import closest

PLAIN_BASES = (["object"], ["ABC"], ["Generic"], ["Protocol"])  # without their own constructor


@dataclass(frozen=True)
class Parameter:
    """One argument: the source text of its annotation and default (None = absent), and the module they are in."""

    name: str
    annotation: str | None
    default: str | None
    kind: str  # "positional" (only), "any" (positional or by name), "keyword" (only by name)
    module: str = ""

    @property
    def required(self) -> bool:
        return self.default is None


@dataclass(frozen=True)
class Signature:
    """What `target` takes. `open` means that other keys are accepted (`**kwargs`) or that the source cannot tell."""

    target: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: bool = False
    kind: str = "class"  # "class", "function", "value" (assigned, such as a compiled function) or "unknown"
    doc: str = ""
    module_doc: str = ""
    module: str = ""  # where it is defined
    file: str = ""
    line: int = 0


def signature(target: Any) -> Signature | None:
    """Return what the class or function at a dotted path takes, or None if there is none."""
    try:
        return find(target) if isinstance(target, str) else None
    except TargetError:
        return None


@cache
def find(target: str) -> Signature:
    """Return what the class or function at a dotted path takes.

    Raises:
        TargetError: the path leads nowhere.
    """
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        raise TargetError(f'"{target}" is not the dotted path of a class, such as torch.optim.Adam.')
    found = follow_path(parts)
    if isinstance(found, Module):
        raise TargetError(f"{target} is a module, not a class.{closest(parts[-1], found.names)}")
    module, node = found
    if isinstance(node, ast.ClassDef):
        parameters, is_open = _constructor(module, node) or ([], False)
        kind = "class"
    elif isinstance(node, ast.FunctionDef):
        owner = follow_path(parts[:-1])
        in_class = isinstance(owner, tuple) and isinstance(owner[1], ast.ClassDef)
        parameters, is_open = _arguments(module, node, bound=in_class and not _has(node, "staticmethod"))
        kind = "function"
    else:
        kind = "value" if isinstance(node, ast.expr) else "unknown"
        return Signature(target, open=True, kind=kind, module=module.name, file=str(module.path or ""))
    return Signature(
        target,
        {parameter.name: parameter for parameter in parameters},
        is_open,
        kind,
        doc=_doc_with_arguments(module, node),
        module_doc=_doc(module.tree),
        module=module.name,
        file=str(module.path),
        line=node.lineno,
    )


def _doc(node: ast.Module | ast.ClassDef | ast.FunctionDef | None) -> str:
    """Return a docstring; a class's `Args:` may also be in the docstring of its __init__."""
    doc = (ast.get_docstring(node) if node is not None else "") or ""
    if isinstance(node, ast.ClassDef) and "Args:" not in doc and (init := _methods(node).get("__init__")):
        doc = f"{doc}\n\n{ast.get_docstring(init) or ''}".strip()
    return doc


def _doc_with_arguments(module: Module, node: ast.ClassDef | ast.FunctionDef) -> str:
    """Return a docstring; the meanings of inherited arguments are taken from the bases."""
    doc = _doc(node)
    if not isinstance(node, ast.ClassDef) or "__init__" in _methods(node):
        return doc
    if "Args:" in doc and not _has(node, "dataclass"):
        return doc
    known = describe_arguments(doc)
    added: list[str] = []
    for base in node.bases:
        if found := _class(module, base):
            meanings = describe_arguments(_doc_with_arguments(*found))
            added += [f"    {name}: {meaning}" for name, meaning in meanings.items() if name not in known]
    doc = doc if known or not added else f"{doc}\n\nArgs:\n"
    return doc.replace("Args:\n", "\n".join(["Args:", *added, ""]), 1) if added else doc


def _methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}


def _class(module: Module, node: ast.expr) -> tuple[Module, ast.ClassDef] | None:
    """Return the class that an expression names, and where it is defined; None where the source cannot tell."""
    found = resolve(module, node.value if isinstance(node, ast.Subscript) else node)
    return (found[0], found[1]) if isinstance(found, tuple) and isinstance(found[1], ast.ClassDef) else None


def describe_arguments(doc: str) -> dict[str, str]:
    """Return {argument: meaning} of the `Args:` block of a docstring."""
    block = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", doc, re.M)
    meanings: dict[str, str] = {}
    if not block:
        return meanings
    lines = [line for line in block[1].splitlines() if line.strip()]
    indent, name = len(lines[0]) - len(lines[0].lstrip()), ""
    for line in lines:
        start = re.match(r"\*{0,2}(\w+)(?: \([^)]*\))?:\s*(.*)", line.strip())
        if start and len(line) - len(line.lstrip()) == indent:
            name, meanings[start[1]] = start[1], start[2]
        elif name:
            meanings[name] = f"{meanings[name]} {line.strip()}".strip()
    return meanings


def _constructor(module: Module, node: ast.ClassDef) -> tuple[list[Parameter], bool] | None:
    """Return (parameters, open) of a class's constructor, inherited if necessary; None if it has no constructor."""
    methods = _methods(node)
    for name in ("__init__", "__new__"):
        if name in methods:
            return _arguments(module, methods[name], bound=True)
    if _has(node, "dataclass"):
        return _fields(module, node), False
    if node.decorator_list:
        return [], True  # a class decorator may write a constructor, as attrs does
    for base in node.bases:
        if dotted(base.value if isinstance(base, ast.Subscript) else base)[-1:] in PLAIN_BASES:
            continue
        if (found := _class(module, base)) is None:
            return [], True
        if (inherited := _constructor(*found)) is not None:
            return inherited
    return None


def _arguments(module: Module, node: ast.FunctionDef, bound: bool) -> tuple[list[Parameter], bool]:
    """Return (parameters, open) of a function; the first argument of a bound one (self, cls) is left out."""
    arguments = node.args
    positional = [(item, "positional") for item in arguments.posonlyargs] + [(item, "any") for item in arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    triples = [(item, kind, default) for (item, kind), default in zip(positional, defaults, strict=True)]
    triples = triples[1:] if bound else triples
    by_name = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    triples += [(item, "keyword", default) for item, default in by_name]
    parameters = [
        Parameter(item.arg, _source(item.annotation), _source(default), kind, module.name)
        for item, kind, default in triples
    ]
    return parameters, arguments.kwarg is not None


def _fields(module: Module, node: ast.ClassDef) -> list[Parameter]:
    """Return a dataclass's constructor arguments, those of its bases first."""
    fields: dict[str, Parameter] = {}
    for base in reversed(node.bases):
        if found := _class(module, base):
            fields |= {parameter.name: parameter for parameter in _fields(*found)}
    if not _has(node, "dataclass"):
        return list(fields.values())
    settings = [option for item in node.decorator_list if isinstance(item, ast.Call) for option in item.keywords]
    keyword_only = any(option.arg == "kw_only" and ast.unparse(option.value) == "True" for option in settings)
    kind = "keyword" if keyword_only else "any"
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        annotation, default = _source(item.annotation), _source(item.value)
        if annotation and ("ClassVar" in annotation or "KW_ONLY" in annotation):
            continue
        if isinstance(item.value, ast.Call) and dotted(item.value.func)[-1:] == ["field"]:
            options = {option.arg: option.value for option in item.value.keywords}
            if isinstance(init := options.get("init"), ast.Constant) and init.value is False:
                continue
            default = _source(options.get("default", options.get("default_factory")))
        fields[item.target.id] = Parameter(item.target.id, annotation, default, kind, module.name)
    return list(fields.values())


def _has(node: ast.ClassDef | ast.FunctionDef, decorator: str) -> bool:
    heads = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
    return any(dotted(head)[-1:] == [decorator] for head in heads)


def _source(node: ast.AST | None) -> str | None:
    return None if node is None else ast.unparse(node)
