"""The rooms of `src/runner`: what may import what, and that every name means one idea.

Every import counts, also inside a function or under TYPE_CHECKING, and so does a string that is the dotted path of a
module or of something in it ("runner.inference.predictor.PyfuncModel").
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src"
PACKAGE = ROOT / "runner"

# From the bottom to the top: each may import those before it.
ROOMS = ("errors", "models", "figures", "files", "config", "tracking", "text", "optim", "augment", "datamodules.parts",
         "datamodules", "tasks", "build", "inference", "training", "contracts", "sweep", "verbs", "api",
         "cli")  # fmt: skip
ALONE = ("models",)  # which import nothing of runner
MOST_NAMES = 22  # in src/runner

# One name for one idea. These stand in two places and mean the same, or say the same of two things side by side.
SAME_MODULE = {
    "base": "what the things of a room share",
    "build": "from a configuration to objects, for all of a run and for optimizers",
    "export": "a verb and its work",
    "train": "a verb and its work",
    "quadratic": "a function as data and as a net",
    "recurrent": "a net and the layers it is made of",
    "resume": "of a sweep and of a run",
    "images": "changed and drawn",
    "text": "changed and read",
    "tables": "read and drawn",
    "tensors": "of data, of a bundle",
    "cells": "of a table, of a recurrent net",
    "table": "of a user, of a sweep",
}
SAME_NAME = {
    "Copy": "a verb, and pairs of which a net learns to copy the source",
    "run": "one job, for Hydra and from Python",
    "main": "what a program does when it is started",
    "Quadratic": "a function as data and as a net",
}

# Strings that name modules and load nothing: the list of what a configuration may name.
PERMISSIONS = ("runner.config.safety",)


def source_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def dotted_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(module: str) -> str:
    """The room a module belongs to: the longest of ROOMS that its name begins with."""
    inner = module.removeprefix("runner.")
    return max((name for name in ROOMS if f"{inner}.".startswith(f"{name}.")), key=len)


def module_in(path: str) -> str | None:
    """The module that a dotted path names or leads into; None where there is none below runner."""
    parts = path.split(".")
    candidates = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
    return next((name for name in candidates if name in MODULES), None)


def named_by(module: str) -> Iterator[str]:
    """Yield the modules that one module imports, wherever it does, or names in strings."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(source_of(module)):
        paths: list[str] = []
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            paths = [f"{start}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and module not in PERMISSIONS:
            paths = re.findall(r"\A(runner(?:\.\w+)+)(?:\Z|:)", node.value)
        yield from (found for path in paths if (found := module_in(path)) not in (None, module))


IMPORTS = {module: set(named_by(module)) for module in MODULES if module != "runner"}


def test_every_arrow_points_down():
    upwards = {
        f"{module} -> {other}"
        for module, others in IMPORTS.items()
        for other in others
        if ROOMS.index(room(other)) > ROOMS.index(room(module))
        or (room(module) in ALONE and room(other) != room(module))
    }
    assert not upwards, sorted(upwards)


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_there_are_few_names_and_each_says_its_job():
    names = [name for name in MODULES if name.count(".") == 1]
    assert len(names) <= MOST_NAMES and {room(name) for name in names} == set(ROOMS) - {"datamodules.parts"}
    jobs = {name: (ast.get_docstring(source_of(name)) or "").partition("\n")[0] for name in MODULES}
    assert not [name for name, job in jobs.items() if len(job.split()) < 3]
    assert not [name for name in names if not jobs[name].endswith(".")], "the first line says all"


def test_no_two_modules_share_a_name():
    counted = Counter(name.rpartition(".")[2] for name in MODULES)
    twice = {name for name, times in counted.items() if times > 1}
    assert twice <= set(SAME_MODULE), sorted(twice - set(SAME_MODULE))


def test_no_two_functions_or_classes_share_a_name():
    """Of those that stand at the top of a module and are not private to it."""
    counted = Counter(
        node.name
        for module in MODULES
        for node in source_of(module).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    )
    twice = {name for name, times in counted.items() if times > 1}
    assert twice <= set(SAME_NAME), sorted(twice - set(SAME_NAME))


@pytest.mark.parametrize("module", ["runner.cli", *(f"runner.{name}" for name in ("config", "files"))])
def test_what_answers_at_once_loads_nothing_heavy(module):
    heavy = {"torch", "pytorch_lightning", "lightning", "mlflow"}
    inside = [name for name in MODULES if f"{name}.".startswith(f"{module}.")]
    loaded = {
        f"{name}: {imported}"
        for name in inside
        for node in source_of(name).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for imported in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if imported.split(".")[0] in heavy
    }
    assert not loaded
