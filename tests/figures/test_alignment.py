"""Heat maps of words: a font that has the characters, or their code points."""

import numpy as np
from matplotlib import font_manager

from runner.figures.alignment import alignment, readable


def labels(axes, name: str) -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{name}ticklabels")()]


def test_words_stand_on_both_axes() -> None:
    figure = alignment(np.eye(2, 3), ["a", "b", "c"], ["x", "y"])
    axes = figure.axes[0]
    assert labels(axes, "x") == ["a", "b", "c"] and labels(axes, "y") == ["x", "y"]
    assert np.array_equal(axes.images[0].get_array(), np.eye(2, 3))


def test_without_a_font_code_points_are_shown(monkeypatch) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])
    assert readable(["you", "\u4f60"]) == ("DejaVu Sans", ["you", "U+4F60 "])


def test_a_file_that_is_not_a_font_is_passed_over(monkeypatch, tmp_path) -> None:
    (tmp_path / "broken.ttf").write_text("not a font")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf")])
    assert readable(["\u4f60"])[1] == ["U+4F60 "]
