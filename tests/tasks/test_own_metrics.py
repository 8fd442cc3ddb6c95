"""Metrics named in the configuration stand beside those of the objective."""

import pytest
import torch
from sklearn.metrics import matthews_corrcoef, mean_absolute_percentage_error
from torch import nn

from runner.config.compose import compose
from runner.config.inspection import supplied_at
from runner.datamodules.parts.batches import Features
from runner.errors import UserError
from runner.tasks.classification import Classification
from runner.tasks.regression import Regression


def evaluated(task, batch) -> dict[str, float]:
    task.on_validation_epoch_start()
    with torch.no_grad():
        task.evaluation_means.add(task.evaluation_step(batch), len(batch.target))
    return task.evaluation_metrics()


def test_a_metric_of_classes_equals_scikit_learns():
    torch.manual_seed(0)
    task = Classification(nn.Linear(4, 3), 3, metrics={"mcc": {"_target_": "torchmetrics.MatthewsCorrCoef"}})
    batch = Features(torch.randn(50, 4), torch.randint(3, (50,)))
    wanted = matthews_corrcoef(batch.target, task.net(batch.features).argmax(dim=1))
    assert evaluated(task, batch)["mcc"] == pytest.approx(wanted, abs=1e-6)


def test_a_metric_of_values_equals_scikit_learns():
    node = {"_target_": "torchmetrics.MeanAbsolutePercentageError"}
    task = Regression(nn.Linear(4, 1), 1, metrics={"mape": node})
    task.target_mean, task.target_std = torch.tensor([10.0]), torch.tensor([2.0])
    batch = Features(torch.randn(50, 4), torch.randn(50, 1))
    actual, predicted = (task.unscale(each).detach() for each in (batch.target, task.net(batch.features)))
    assert evaluated(task, batch)["mape"] == pytest.approx(mean_absolute_percentage_error(actual, predicted), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "node", "said"),
    [
        ("f1_macro", {"_target_": "torchmetrics.F1Score"}, "has a metric of that name"),
        ("accuracy", {"_target_": "torchmetrics.Accuracy"}, "has a metric of that name"),
        ("x", {"_target_": "torch.nn.Identity"}, "is not a metric of torchmetrics"),
        ("x", {"_target_": "torchmetrics.ConfusionMatrix"}, "does not return one number"),
        ("x", {"_target_": "torchmetrics.classification.BinaryF1Score"}, "task.metrics.x"),
        ("x", 3, "a metric by its class"),
    ],
)
def test_what_is_not_such_a_metric_is_refused_before_training(name, node, said):
    with pytest.raises(UserError, match=said):
        Classification(nn.Linear(4, 3), 3, metrics={name: node})


def test_the_number_of_classes_is_filled_in():
    assert {"task", "num_classes"} <= supplied_at("task.metrics.mcc")
    assert compose(["model=mlp", "data=iris", "+task.metrics.mcc._target_=torchmetrics.MatthewsCorrCoef"]).task.metrics
