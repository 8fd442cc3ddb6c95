"""A package that the tests of signatures read without importing it."""

import importlib
import sys

import pytest

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
