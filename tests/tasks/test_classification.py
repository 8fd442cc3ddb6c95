"""Metrics of classes against scikit-learn."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from objectives import Given, evaluated
from sklearn import metrics as sk

from runner.errors import UserError
from runner.tasks.classification import Classification


@pytest.mark.parametrize("classes", [2, 4])
def test_classification_metrics(classes):
    draw = torch.Generator().manual_seed(classes)
    target = torch.randint(0, classes, (53,), generator=draw)
    logits = torch.randn(53, classes, generator=draw) + F.one_hot(target, classes)
    found = evaluated(Classification(Given(), classes), logits, target)
    probabilities, decided = logits.double().softmax(1).numpy(), logits.argmax(1).numpy()
    right = probabilities[:, 1] if classes == 2 else probabilities
    wanted = {
        "loss": sk.log_loss(target, probabilities),
        "accuracy": sk.accuracy_score(target, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(target, decided),
        "f1_macro": sk.f1_score(target, decided, average="macro"),
        "auroc": sk.roc_auc_score(target, right, multi_class="ovr"),
        "average_precision": sk.average_precision_score(target, right),
    }
    assert found == pytest.approx(wanted, rel=1e-5)


def test_ordered_classes_are_compared_by_their_distance():
    logits, target = torch.eye(4)[[0, 3, 2, 1]], torch.tensor([0, 0, 3, 1])
    assert evaluated(Classification(Given(), 4, loss="ordinal"), logits, target)["mae"] == 1  # 0 + 3 + 1 + 0 of 4


def test_classification_metrics_start_anew_each_time():
    task = Classification(Given(), 2)
    logits, target = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    assert evaluated(task, logits, target)["accuracy"] == 1
    assert evaluated(task, logits, 1 - target)["accuracy"] == 0


def test_a_class_that_a_split_lacks_leaves_ranking_undefined():
    found = evaluated(Classification(Given(), 3), torch.eye(3)[:2], torch.tensor([0, 1]))
    assert math.isnan(found["auroc"]) and math.isnan(found["average_precision"])
    assert found["accuracy"] == found["balanced_accuracy"] == 1


def test_label_smoothing_is_of_the_training_loss_too():
    logits, target = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    found = Classification(Given(), 3, label_smoothing=0.2).step((logits, target))["loss"]
    assert torch.equal(found, F.cross_entropy(logits, target, label_smoothing=0.2))


def test_wrong_logits_are_explained():
    with pytest.raises(UserError, match=r"logits of shape \(batch, 3\); Given returned \(4, 2\)"):
        Classification(Given(), 3).step((torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)))
    with pytest.raises(UserError, match=r"at least 2 classes, received data.num_classes=1"):
        Classification(Given(), 1)


def test_classification_answers_with_label_and_probabilities():
    task, data = Classification(Given(), 2), SimpleNamespace(class_names=["bad", "good"], encode=lambda rows: (rows,))
    (answer,) = task.answer(torch.tensor([[0.0, math.log(3)]]), data)
    assert answer == pytest.approx({"label": "good", "probability_bad": 0.25, "probability_good": 0.75})
    assert list(answer) == list(task.answer_columns(data))
