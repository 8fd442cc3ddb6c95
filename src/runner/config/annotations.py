"""Compare values with the annotations of a signature, which may be known as source text only."""

import ast
from dataclasses import dataclass
from functools import cache

from runner.config.signatures import Parameter
from runner.config.source import dotted, module_named, resolve

_LISTS = {"list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "set", "Set", "frozenset"}
_DICTS = {"dict", "Dict", "Mapping", "MutableMapping"}


@dataclass(frozen=True)
class Kind:
    """One alternative: int, float, bool, str, none, literal, list, tuple, dict, dotted, object, any."""

    name: str
    items: tuple = ()  # a literal's values; the alternatives of a list's elements; for a tuple, those of each place


ANY = Kind("any")
_NAMES = {"int": "int", "float": "float", "bool": "bool", "str": "str", "None": "none", "Path": "str",
          "PathLike": "str", "LiteralString": "str", "Number": "float", "Real": "float", "Any": "any", "object": "any",
          "?": "any", "Callable": "any", "DottedPath": "dotted"}  # fmt: skip
_NAMES |= dict.fromkeys(_DICTS, "dict")
_WORDS = {"none": "null", "bool": "true or false", "str": "text", "dict": "a mapping", "any": "anything",
          "dotted": "the dotted path of your own function"}  # fmt: skip


@cache
def kinds_of(parameter: Parameter) -> tuple[Kind, ...]:
    """Return the alternatives of a parameter's annotation; names of other modules are followed."""
    if parameter.annotation is None:
        return (ANY,)
    found = _kinds(ast.parse(parameter.annotation, mode="eval").body, parameter.module, depth=0)
    return (*found, Kind("none")) if parameter.default == "None" else found


def _kinds(node: ast.AST, module: str, depth: int) -> tuple[Kind, ...]:
    if depth > 12:  # a recursive alias
        return (ANY,)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return _kinds(ast.parse(node.value, mode="eval").body, module, depth + 1)
        return (Kind("none" if node.value is None else "any"),)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _kinds(node.left, module, depth + 1) + _kinds(node.right, module, depth + 1)
    if isinstance(node, ast.Subscript):
        return _generic(node, module, depth + 1)
    name = (dotted(node) or ["?"])[-1]
    if name in _NAMES:
        return (Kind(_NAMES[name]),)
    if name in _LISTS or name in ("tuple", "Tuple"):
        return (Kind("list", (ANY,)),)
    return _alias(node, module, depth + 1)


def _generic(node: ast.Subscript, module: str, depth: int) -> tuple[Kind, ...]:
    head = (dotted(node.value) or ["?"])[-1]
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if head == "Literal":
        return (Kind("literal", tuple(ast.literal_eval(item) for item in inner)),)
    if head in ("Union", "Optional"):
        alternatives = sum((_kinds(item, module, depth) for item in inner), ())
        return (*alternatives, Kind("none")) if head == "Optional" else alternatives
    if head in ("Annotated", "Final", "Required", "NotRequired"):
        return _kinds(inner[0], module, depth)
    if head in _LISTS:
        return (Kind("list", _kinds(inner[0], module, depth)),)
    if head in ("tuple", "Tuple"):
        if isinstance(inner[-1], ast.Constant) and inner[-1].value is Ellipsis:
            return (Kind("list", _kinds(inner[0], module, depth)),)
        return (Kind("tuple", tuple(_kinds(item, module, depth) for item in inner)),)
    return (Kind("dict"),) if head in _DICTS else (Kind("object"),)


def _alias(node: ast.AST, module: str, depth: int) -> tuple[Kind, ...]:
    """Follow a name to `_PRECISION_INPUT = Union[...]`; a class is an object, an enumeration's members may be typed."""
    source = module_named(module) if module else None
    found = resolve(source, node) if source else None
    if not isinstance(found, tuple):
        return (Kind("object"),)
    where, definition = found
    if isinstance(definition, ast.ClassDef):
        is_enum = any("".join(dotted(base)).endswith("Enum") for base in definition.bases)
        return (Kind("any" if is_enum else "object"),)
    if isinstance(definition, (ast.Subscript, ast.BinOp, ast.Constant)):
        return _kinds(definition, where.name, depth)
    return (Kind("object"),)


def fits(value: object, alternatives: tuple[Kind, ...]) -> bool:
    """Return whether a plain value (from YAML) fits one of these alternatives.

    An int fits a float, but not the other way round; null fits only None. A dict with `_target_` becomes an object
    before it is passed on, so it always fits. A class declared next to plain types, as in `float | Tensor`, does not
    allow other plain types.
    """
    names = {kind.name for kind in alternatives}
    if "any" in names or (isinstance(value, dict) and "_target_" in value):
        return True
    literals = [item for kind in alternatives if kind.name == "literal" for item in kind.items]
    if any(type(value) is type(item) and value == item for item in literals):
        return True
    if value is None:
        return "none" in names
    if isinstance(value, dict):
        return bool(names & {"dict", "object"})
    if "dotted" in names and isinstance(value, str) and "." in value:
        return True
    if "object" in names and not names & {"int", "float", "bool", "str", "literal"}:
        return True
    if isinstance(value, list):
        return any(_list_fits(value, kind) for kind in alternatives)
    if type(value) is int:  # bool is a subclass
        return bool(names & {"int", "float"})
    return type(value).__name__ in names


def named(value: object, alternatives: tuple[Kind, ...]) -> list[str]:
    """Return the dotted paths in a value that fits: the parts that are declared as DottedPath."""
    found = []
    for kind in alternatives:
        if kind.name == "dotted" and isinstance(value, str) and "." in value:
            found.append(value)
        elif kind.name == "list" and isinstance(value, list):
            found += [path for item in value for path in named(item, kind.items)]
    return found


def _list_fits(value: list, kind: Kind) -> bool:
    if kind.name == "list":
        return all(fits(item, kind.items) for item in value)
    return kind.name == "tuple" and len(value) == len(kind.items) and all(map(fits, value, kind.items))


def words(alternatives: tuple[Kind, ...]) -> str:
    """Return in words what the alternatives allow: "int or null", "one of mse, mae, huber", "a list of int"."""
    literals = dict.fromkeys(str(item) for kind in alternatives if kind.name == "literal" for item in kind.items)
    texts = [("one of " if len(literals) > 1 else "") + ", ".join(literals)] if literals else []
    for kind in alternatives:
        if kind.name == "literal":
            continue
        if kind.name == "list":
            inner = words(kind.items)
            text = "a list" if inner == "anything" else f"a list of {inner}"
        elif kind.name == "tuple":
            text = "a list [" + ", ".join(words(place) for place in kind.items) + "]"
        else:
            text = _WORDS.get(kind.name, kind.name)
        texts += [text] if text not in texts and text != "object" else []
    texts.sort(key=lambda text: text == "null")
    return " or ".join(texts) or "an object (a node with _target_)"
