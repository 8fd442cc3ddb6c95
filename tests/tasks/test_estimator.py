"""Estimators are scored as trained nets are."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from objectives import Given, evaluated

from runner.tasks.classification import Classification
from runner.tasks.estimator import Estimator
from runner.tasks.regression import Regression


class Fixed:
    """An estimator that answers what it is told."""

    def __init__(self, answers: np.ndarray, classifies: bool):
        self.answers = answers
        if classifies:
            self.predict_proba = lambda rows: self.answers

    def predict(self, rows):
        return self.answers


@pytest.mark.parametrize("classes", [2, 4])
def test_estimators_are_scored_as_nets_are(classes):
    draw = torch.Generator().manual_seed(classes)
    target = torch.randint(0, classes, (60,), generator=draw)
    logits = torch.randn(60, classes, generator=draw) + F.one_hot(target, classes)
    net = evaluated(Classification(Given(), classes), logits, target)
    probabilities = logits.double().softmax(1).numpy()
    task = Estimator(Fixed(probabilities, classifies=True))
    found = task.evaluate(None, SimpleNamespace(examples=lambda split: (range(60), target.numpy())), "test")
    assert found == pytest.approx({f"test/{name}": value for name, value in net.items()}, rel=1e-5)


def test_estimators_of_values_are_scored_as_nets_are():
    draw = torch.Generator().manual_seed(0)
    actual, predicted = torch.randn(30, 1, generator=draw), torch.randn(30, 1, generator=draw)
    net = evaluated(Regression(Given(), 1), predicted, actual)
    task = Estimator(Fixed(predicted.numpy()[:, 0], classifies=False))
    data = SimpleNamespace(examples=lambda split: (range(30), actual.numpy()[:, 0]))
    wanted = {f"val/{name}": value for name, value in net.items()}
    assert task.evaluate(None, data, "val") == pytest.approx(wanted, rel=1e-5)


def test_an_estimator_leaves_out_what_is_undefined():
    task = Estimator(Fixed(np.array([[0.9, 0.1], [0.8, 0.2]]), classifies=True))
    found = task.evaluate(None, SimpleNamespace(examples=lambda split: ([0, 1], np.array([0, 0]))), "test")
    assert set(found) == {"test/loss", "test/accuracy", "test/balanced_accuracy", "test/f1_macro"}
