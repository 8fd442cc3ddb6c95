"""Metrics of real values against scikit-learn, in the units of the data, and what regression draws."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from objectives import Given, evaluated
from sklearn import metrics as sk
from small_runs import result

from runner.errors import UserError
from runner.tasks.regression import Regression


def test_the_fitted_curve_is_drawn(tmp_path):
    found = result(["experiment=ch03_curve", "trainer.max_epochs=20", "+trainer.check_val_every_n_epoch=10"], tmp_path)
    assert found["test/mse"] < 0.5  # the variance of a sine
    assert (tmp_path / "figures" / "fitted_curve.png").exists()


@pytest.mark.parametrize("targets", [1, 3])
def test_regression_metrics_are_in_the_units_of_the_data(targets):
    draw = torch.Generator().manual_seed(targets)
    actual = torch.randn(40, targets, generator=draw) * 7 + 100
    predicted = actual + torch.randn(40, targets, generator=draw)
    task = Regression(Given(), targets)
    mean, std = actual.mean(0), actual.std(0)
    task.connect(SimpleNamespace(unit="", target_mean=mean, target_std=std))
    found = evaluated(task, (predicted - mean) / std, (actual - mean) / std)
    wanted = {
        "mse": sk.mean_squared_error(actual, predicted),
        "rmse": sk.mean_squared_error(actual, predicted) ** 0.5,
        "mae": sk.mean_absolute_error(actual, predicted),
        "r2": sk.r2_score(actual, predicted),
        "loss": F.mse_loss((predicted - mean) / std, (actual - mean) / std).item(),
    }
    assert found == pytest.approx(wanted, rel=1e-4)


def test_r2_of_years():
    """Sums of squares of values far from zero leave nothing of their variance in 32 bits."""
    actual = torch.linspace(1990, 2020, 31)[:, None]
    predicted = actual + torch.tensor([3.0, -3.0] * 15 + [3.0])[:, None]
    task = Regression(Given(), 1)
    mean, std = actual.mean(0), actual.std(0)
    task.connect(SimpleNamespace(unit="", target_mean=mean, target_std=std))
    found = evaluated(task, (predicted - mean) / std, (actual - mean) / std)
    assert found["r2"] == pytest.approx(sk.r2_score(actual, predicted), rel=1e-5)


def test_a_single_row_has_no_r2():
    found = evaluated(Regression(Given(), 1), torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    assert math.isnan(found["r2"]) and found["mse"] == pytest.approx(4)


def test_regression_answers_in_the_units_of_the_data():
    task = Regression(Given(), 1)
    task.connect(SimpleNamespace(unit="", target_mean=torch.tensor([20.0]), target_std=torch.tensor([5.0])))
    data = SimpleNamespace(target_names=["price"], encode=lambda rows: (rows,))
    assert task.answer(torch.tensor([[2.0], [-1.0]]), data) == [{"price": 30.0}, {"price": 15.0}]


def test_wrong_values_are_explained():
    with pytest.raises(UserError, match=r"shape \(batch, 1\); Given returned \(4,\)"):
        Regression(Given(), 1).step((torch.zeros(4), torch.zeros(4, 1)))
