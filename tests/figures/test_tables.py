"""Figures of columns of numbers."""

import numpy as np

from runner.figures.tables import panels_of_models, predicted_against_actual


def test_predicted_against_actual(drawn):
    axes = drawn(predicted_against_actual(np.array([[1.0], [2.0]]), np.array([[1.5], [5.0]])))
    assert axes.collections[0].get_offsets().tolist() == [[1, 1.5], [2, 5]]
    assert list(axes.get_lines()[0].get_xdata()) == [1, 5]


def test_there_is_a_panel_for_each_model():
    actual = np.arange(5.0)
    figure = panels_of_models(actual, {"one": actual, "other": actual + 1, "third": actual - 2})
    assert [axes.get_title() for axes in figure.axes] == ["one\nMSE 0.0", "other\nMSE 1.0", "third\nMSE 4.0"]
