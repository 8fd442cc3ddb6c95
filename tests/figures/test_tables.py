"""Figures of columns of numbers."""

import numpy as np

from runner.figures.tables import predicted_against_actual


def test_predicted_against_actual(drawn):
    axes = drawn(predicted_against_actual(np.array([[1.0], [2.0]]), np.array([[1.5], [5.0]])))
    assert axes.collections[0].get_offsets().tolist() == [[1, 1.5], [2, 5]]
    assert list(axes.get_lines()[0].get_xdata()) == [1, 5]
