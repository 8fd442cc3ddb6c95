"""The lowest point of a parabola."""

import pytest
import torch
from small_runs import result

from runner.models.quadratic import Quadratic


def test_quadratic_answers_with_the_parabola():
    net = Quadratic(start=3.0)
    assert net(torch.tensor([[1.0, -10, 25], [2, 0, 1]])).tolist() == [[4.0], [19.0]]
    with pytest.raises(ValueError, match="the coefficients a, b and c"):
        Quadratic(in_features=4)


@pytest.mark.parametrize(
    ("overrides", "expected", "close"),
    [
        ([], 4.99999, 2e-5),
        (["data.steps=1", "data.coefficients=[1,-20,100]"], 0.2, 1e-6),
    ],
)
def test_the_lowest_point_of_a_parabola(overrides, expected, close, tmp_path, no_figures):
    assert result(["experiment=quadratic", *overrides], tmp_path)["fit/w"] == pytest.approx(expected, abs=close)
