"""Shaded texts: every word in its place, as strong as its weight."""

import numpy as np
from matplotlib.colors import to_rgb

from runner.figures.shaded_text import INDENT, SPACE, WIDTH, places, shaded_text, strengths


def drawn(axes, colour: str) -> list[float]:
    return [patch.get_alpha() for patch in axes.patches if patch.get_facecolor()[:3] == to_rgb(colour)]


def test_a_sentence_begins_on_a_line_of_its_own_and_a_full_line_ends():
    left, line, ends = places([WIDTH / 2, WIDTH / 2, 10.0, 10.0], [3, 1])
    assert left.tolist() == [INDENT, INDENT, INDENT + WIDTH / 2 + SPACE, INDENT]
    assert line.tolist() == [0, 1, 1, 2] and ends == [2, 3]


def test_words_and_sentences_are_shaded_by_their_weights():
    weights = [np.array([[0.5, 0.0]]), np.array([[0.1, 0.4]])]
    (axes,) = shaded_text([["a", "b"], ["c", "d"]], weights, "title").axes
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c", "d"]
    shades = drawn(axes, "tab:red")
    assert shades[1] == 0 and shades[0] > shades[3] > shades[2] > 0
    assert drawn(axes, "tab:blue") == [0.25, 0.25], "equal sentences have a quarter of the full shade"


def test_a_panel_for_each_hop_and_no_more_lines_than_fit():
    words = ["word"] * 5000
    figure = shaded_text([words], [np.full((3, 5000), 1 / 5000)], "title")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["hop 1", "hop 2", "hop 3"]
    assert 0 < len(figure.axes[0].texts) < 1000 and not drawn(figure.axes[0], "tab:blue")


def test_equal_shares_are_pale_and_a_large_one_is_strong():
    assert strengths(np.full(8, 0.125)).tolist() == [0.25] * 8
    assert strengths(np.array([0.9, 0.1, 0, 0, 0, 0, 0, 0])).max() == 1
    assert strengths(np.zeros(3)).tolist() == [0, 0, 0]
