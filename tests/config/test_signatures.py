"""Signatures are read from source as Python itself would find them, and nothing is imported on the way."""

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.config.annotations import fits, kinds, words
from runner.config.signatures import Parameter, describe_arguments, find, signature
from runner.config.source import TargetError

SOURCE = '''
"""Things to build."""
from __future__ import annotations
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import ClassVar, Literal, Optional, TypeAlias, Union, overload

Size: TypeAlias = Union[int, "list[int]"]
_MODE = Literal["fast", "slow"]


class Colour(str, Enum):
    RED = "red"


class Base:
    def __init__(self, width: int, height: float = 1.0, *, mode: _MODE = "fast", sizes: Size = 3, tint: Colour = None):
        """Build it.

        Args:
            width: how wide it is,
                in metres.
            height: how high it is.
        """


class Child(Base):
    """A child."""

    @classmethod
    def of(cls, path: str, *rest: int) -> "Child": ...

    @staticmethod
    def plain(x, /, y=2): ...


class Open(Base):
    def __init__(self, name: str, **options): ...


@dataclass
class Point:
    x: int
    kind: ClassVar[str] = "point"
    tags: list[str] = field(default_factory=list)
    cache: dict = field(init=False)


@dataclass
class Point3(Point):
    z: float = 0.0


@overload
def build(x: int) -> int: ...
@overload
def build(x: str) -> str: ...
def build(x, y: Optional[bool] = None):
    """Build x."""


Alias = Child
Made = partial(Base, 3)
try:
    from not_installed import Missing
except ImportError:
    Missing = None
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package `shelf` on the Python path: re-exports, `import *`, relative imports, a folder without __init__.py."""
    root = tmp_path_factory.mktemp("src")
    (root / "shelf" / "deep").mkdir(parents=True)
    (root / "shelf" / "things.py").write_text(SOURCE)
    (root / "shelf" / "__init__.py").write_text(
        "from .things import Child as Kid, Base\nfrom shelf.stars import *\nimport shelf.things as t\n"
    )
    (root / "shelf" / "stars.py").write_text(
        "from .things import build\nclass Star(t.Base): pass\nfrom . import things as t\n"
    )
    (root / "shelf" / "deep" / "leaf.py").write_text("from ..things import Base as B\nclass Leaf(B):\n    pass\n")
    (root / "shelf" / "broken.py").write_text("class Broken(:\n")
    (root / "shelf" / "lazy.py").write_text("def __getattr__(name): ...\n")
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    yield root
    sys.path.remove(str(root))


BASE = ["width", "height", "mode", "sizes", "tint"]


@pytest.mark.parametrize(
    ("target", "names", "is_open"),
    [
        ("shelf.things.Base", BASE, False),
        ("shelf.Base", BASE, False),
        ("shelf.Kid", BASE, False),
        ("shelf.things.Alias", BASE, False),
        ("shelf.Star", BASE, False),
        ("shelf.t.Child", BASE, False),
        ("shelf.deep.leaf.Leaf", BASE, False),
        ("shelf.things.Open", ["name"], True),
        ("shelf.things.Point", ["x", "tags"], False),
        ("shelf.things.Point3", ["x", "tags", "z"], False),
        ("shelf.build", ["x", "y"], False),
        ("shelf.things.Child.of", ["path"], False),
        ("shelf.things.Child.plain", ["x", "y"], False),
        ("shelf.things.Made", [], True),
        ("shelf.things.Missing", [], True),
        ("shelf.lazy.Anything", [], True),
        ("math.sqrt", [], True),
        ("builtins.dict", [], True),
    ],
)
def test_parameters_are_found(package, target, names, is_open):
    found = find(target)
    assert (list(found.parameters), found.open) == (names, is_open)


def test_a_parameter_says_all(package):
    found = find("shelf.things.Child")
    width, mode = found.parameters["width"], found.parameters["mode"]
    assert width == Parameter("width", "int", None, "any", "shelf.things")
    assert (width.required, mode.required, mode.default, mode.kind) == (True, False, "'fast'", "keyword")
    assert (found.kind, found.module_doc) == ("class", "Things to build.")
    assert found.doc.splitlines()[0] == "A child."
    assert Path(found.file).name == "things.py"
    assert Path(found.file).read_text().splitlines()[found.line - 1] == "class Child(Base):"
    meanings = {"width": "how wide it is, in metres.", "height": "how high it is."}
    assert describe_arguments(find("shelf.things.Base").doc) == meanings
    assert describe_arguments(found.doc) == meanings, "inherited like the arguments"


@pytest.mark.parametrize(
    ("target", "fragments"),
    [
        ("shlf.Base", ['no module "shlf"', 'Did you mean "shelf"?']),
        ("shelf.thing.Base", ['no module "shelf.thing"', 'Did you mean "things"?']),
        ("shelf.things.Chlid", ["shelf.things has no Chlid", 'Did you mean "Child"?']),
        ("shelf.things", ["shelf.things is a module"]),
        ("shelf.things.Base.off", ["shelf.things.Base has no off"]),
        ("shelf.broken.Broken", ["broken.py, line 1"]),
        ("shelf/things.py", ["not the dotted path"]),
        ("torch.optm.Adam", ['no module "torch.optm"', 'Did you mean "optim"?']),
        ("torch.optim.Adamm", ["torch.optim has no Adamm", 'Did you mean "Adam"?']),
    ],
)
def test_what_does_not_exist_is_named_with_the_closest(package, target, fragments):
    assert signature(target) is None
    with pytest.raises(TargetError) as caught:
        find(target)
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)


@pytest.mark.parametrize(
    ("target", "name", "good", "bad"),
    [
        ("shelf.Base", "width", [3], [3.0, "3", True, None, [3]]),
        ("shelf.Base", "height", [3, 0.5], ["x", False, None]),
        ("shelf.Base", "mode", ["fast"], ["fats", 1, None]),
        ("shelf.Base", "sizes", [3, [3, 4]], [["x"], "3", 0.5]),
        ("shelf.Base", "tint", ["red", None], []),
        ("shelf.build", "y", [True, None], [1, "yes"]),
        ("shelf.build", "x", [1, "a", None], []),
        ("torch.optim.Adam", "lr", [1, 0.1], ["abc", None, True]),
        ("torch.optim.Adam", "betas", [[0.9, 0.99]], [[0.9], 0.9, ["a", 0.9]]),
        ("pytorch_lightning.Trainer", "max_epochs", [3, None], ["ten", 2.5]),
        ("pytorch_lightning.Trainer", "precision", ["16-mixed", 32, None], ["16-mixd", True]),
        ("pytorch_lightning.Trainer", "devices", ["auto", 2, [0, 1]], [0.5, ["a"]]),
        ("pytorch_lightning.Trainer", "strategy", ["ddp", {"_target_": "x.Y"}], [3]),
    ],
)
def test_values_are_held_against_annotations(package, target, name, good, bad):
    alternatives = kinds(find(target).parameters[name])
    assert [value for value in good if not fits(value, alternatives)] == []
    assert [value for value in bad if fits(value, alternatives)] == []


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "int"),
        ("int | None", "int or null"),
        ("Optional[list[int]]", "a list of int or null"),
        ("Literal['a', 'b'] | None", "one of a, b or null"),
        ("tuple[int, float]", "a list [int, float]"),
        ("tuple[int, ...]", "a list of int"),
        ("str", "text"),
        ("bool", "true or false"),
        ("dict[str, int]", "a mapping"),
        (None, "anything"),
    ],
)
def test_annotations_in_words(annotation, text):
    assert words(kinds(Parameter("x", annotation, None, "any"))) == text


@pytest.mark.parametrize(
    "target",
    [
        "torch.optim.Adam",
        "torch.optim.SGD",
        "torch.nn.Linear",
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.EarlyStopping",
        "sklearn.svm.SVC",
        "runner.optim.schedules.cosine",
    ],
)
def test_equals_what_python_says(target):
    module, _, name = target.rpartition(".")
    expected = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    assert list(find(target).parameters) == list(expected)
    assert [p.required for p in find(target).parameters.values()] == [
        p.default is inspect.Parameter.empty for p in expected.values()
    ]


def test_nothing_is_imported():
    code = (
        "import sys; from runner.config.signatures import find\n"
        "for target in ('torch.optim.Adam', 'pytorch_lightning.Trainer', 'sklearn.svm.SVC'): find(target)\n"
        "print(sorted({'torch', 'pytorch_lightning', 'sklearn', 'numpy'} & set(sys.modules)))"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"
