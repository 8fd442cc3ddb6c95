"""Figures of tables."""

import numpy as np

from runner.figures.tables import side_by_side


def test_side_by_side_has_a_panel_for_each_model():
    actual = np.arange(5.0)
    figure = side_by_side(actual, {"one": actual, "other": actual + 1, "third": actual - 2})
    assert [axes.get_title() for axes in figure.axes] == ["one\nMSE 0.0", "other\nMSE 1.0", "third\nMSE 4.0"]
