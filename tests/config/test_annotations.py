"""Values from YAML compared with annotations."""

import pytest

from runner.config.annotations import fits, kinds_of, words
from runner.config.signatures import Parameter, find


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
    alternatives = kinds_of(find(target).parameters[name])
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
    assert words(kinds_of(Parameter("x", annotation, None, "any"))) == text
