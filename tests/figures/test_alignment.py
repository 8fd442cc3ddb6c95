"""Heat maps of words: fonts that have the characters, or their code points; the same in a terminal."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager

from runner.figures.alignment import alignment, alignment_lines, lacking, packaged_fonts, readable

CHINESE = ["\u6211\u4eec", "\u8bd5\u8bd5", "\u3002", "you"]


def labels(axes, name: str) -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{name}ticklabels")()]


def test_words_stand_on_both_axes() -> None:
    figure = alignment(np.eye(2, 3), ["a", "b", "c"], ["x", "y"])
    axes = figure.axes[0]
    assert labels(axes, "x") == ["a", "b", "c"] and labels(axes, "y") == ["x", "y"]
    assert np.array_equal(axes.images[0].get_array(), np.eye(2, 3))


def test_dollar_signs_are_no_formulas(tmp_path: Path) -> None:
    alignment(np.eye(2), ["$_^$", "a"], ["$_^$", "b"]).savefig(tmp_path / "look.png")  # mathtext could not read it


@pytest.fixture
def no_fonts(monkeypatch) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])
    monkeypatch.setattr("runner.figures.alignment.FONTS", "a-package-that-is-not-installed")


@pytest.mark.usefixtures("no_fonts")
def test_without_a_font_code_points_are_shown(caplog) -> None:
    with caplog.at_level("INFO"):
        assert readable(["you", "\u4f60"]) == (["DejaVu Sans"], ["you", "U+4F60 "])
    assert "noto-cjk-sans-otc" in caplog.text


@pytest.mark.usefixtures("no_fonts")
def test_a_file_that_is_not_a_font_is_passed_over(monkeypatch, tmp_path) -> None:
    (tmp_path / "broken.ttf").write_text("not a font")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf")])
    assert readable(["\u4f60"])[1] == ["U+4F60 "]


@pytest.mark.parametrize("fonts", ["those of this machine", "none"])
def test_every_character_drawn_has_a_glyph(fonts: str, request, tmp_path: Path) -> None:
    """matplotlib warns about a character that it draws as a box."""
    if fonts == "none":
        request.getfixturevalue("no_fonts")
    figure = alignment(np.eye(4), CHINESE, CHINESE)
    shown = "".join(labels(figure.axes[0], "x"))
    names, _ = readable(CHINESE)
    paths = [font_manager.findfont(name, fallback_to_default=False) for name in names]
    assert not set.intersection(*(lacking(path, shown) for path in paths))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "alignment.png")


def test_the_font_of_the_extra_has_chinese() -> None:
    if not packaged_fonts():
        pytest.skip("noto-cjk-sans-otc, the extra fonts, is not installed")
    assert readable(CHINESE)[1] == CHINESE


def test_a_terminal_shows_shades_and_the_largest_weights() -> None:
    weights = np.array([[0.0, 0.96, 0.04], [0.3, 0.3, 0.4]])
    assert alignment_lines(weights, ["we", "try", "."], ["\u6211", "abc"]) == [
        "\u6211   | \u2588 |  try 0.96",
        "abc  |\u2591\u2591\u2592|  . 0.40  we 0.30  try 0.30",
    ]
