"""What classes and functions take, as Python itself would say."""

import importlib
import inspect
from pathlib import Path

import pytest

from runner.config.signatures import Parameter, describe_arguments, find

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
