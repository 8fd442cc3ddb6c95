"""Coefficients of a parabola as data."""

import pytest

from runner.datamodules.quadratic import Quadratic as QuadraticData
from runner.errors import UserError


def test_quadratic_data_are_checked():
    for wrong in ([0, 1, 2], [1, 2]):
        with pytest.raises(UserError, match="a above 0"):
            QuadraticData(coefficients=wrong)
