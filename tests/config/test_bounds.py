"""Ranges as docstrings state them."""

import pytest

from runner.config.bounds import outside, stated


@pytest.mark.parametrize(
    ("meaning", "range_"),
    [
        ("share that is dropped, in [0, 1).", "in [0, 1)"),
        ("at least 1.", "at least 1"),
        ("words at most, at least 1; None = all.", "at least 1"),
        ("of the source: the larger, the slower; above 0.", "above 0"),
        ("price, above 0.5, of an error.", "above 0.5"),
        ("rows of a batch; None = at least 256.", None),
        ("words that occur at least 2 times.", None),
        ("layers, one above the other.", None),
        ("a, b and c; a above 0, so that there is a lowest point.", None),
        ("", None),
    ],
)
def test_a_clause_of_a_docstring(meaning, range_):
    assert stated("mine.Net", "size", meaning) == range_


@pytest.mark.parametrize(
    ("range_", "inside", "beyond"),
    [
        ("at least 1", [1, 2.5, [1, 2], "text", None, True], [0, -1, 0.5, float("nan"), float("inf"), [1, 0]]),
        ("above 0", [1e-9, 3], [0, -1]),
        ("in [0, 1)", [0, 0.99], [1, -0.1, float("nan")]),
        ("in (0, 1]", [1, 0.01], [0, 1.01]),
        (None, [-5, 1e300, float("inf"), 2**63 - 1], [float("nan"), 2**63, -(2**63) - 1]),
    ],
)
def test_numbers_in_and_outside(range_, inside, beyond):
    assert [value for value in inside if outside(value, range_) is not None] == []
    assert [value for value in beyond if outside(value, range_) is None] == []


def test_words():
    assert outside(0, "at least 1") == "a number of at least 1"
    assert outside([0.5, 2], "in [0, 1)") == "only numbers in [0, 1)"
    assert outside(2**70, "at least 1") == "a number of at most 64 bits"
