"""Figures of columns of numbers."""

from datetime import date

import numpy as np

from runner.figures.tables import forecast, panels_of_models, predicted_against_actual


def test_predicted_against_actual(drawn):
    axes = drawn(predicted_against_actual(np.array([[1.0], [2.0]]), np.array([[1.5], [5.0]])))
    assert axes.collections[0].get_offsets().tolist() == [[1, 1.5], [2, 5]]
    assert list(axes.get_lines()[0].get_xdata()) == [1, 5]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("actual", "predicted")


def test_values_have_their_unit_and_days_their_date(drawn):
    axes = drawn(predicted_against_actual(np.ones(2), np.ones(2), "1000 dollars"))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("actual (1000 dollars)", "predicted (1000 dollars)")
    days = [date(2013, 1, number) for number in range(1, 5)]
    axes = drawn(forecast(np.ones((3, 2)), np.ones((3, 2)), days, "dollars"))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("day", "value (dollars)")
    two_ahead = axes.get_lines()[2]
    assert list(two_ahead.get_xdata()) == days[1:]


def test_there_is_a_panel_for_each_model():
    actual = np.arange(5.0)
    figure = panels_of_models(actual, {"one": actual, "other": actual + 1, "third": actual - 2})
    assert [axes.get_title() for axes in figure.axes] == ["one\nMSE 0.0", "other\nMSE 1.0", "third\nMSE 4.0"]
