"""Several labels for each example: metrics against scikit-learn."""

import pytest
import torch
from objectives import Given, evaluated
from sklearn import metrics as sk

from runner.errors import UserError
from runner.tasks.multi_label import MultiLabel


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore:No positive class")
@pytest.mark.parametrize("rare", [False, True])
def test_metrics_are_of_the_whole_split(rare):
    draw = torch.Generator().manual_seed(1)
    target = torch.rand(53, 4, generator=draw).round()
    if rare:
        target[:, 3] = 0  # a label that no example has
    logits = torch.randn(53, 4, generator=draw) + target
    found = evaluated(MultiLabel(Given(), 4, threshold=0.4), logits, target)
    chances = logits.sigmoid().numpy()
    decided = chances > 0.4
    wanted = {
        "loss": torch.nn.functional.binary_cross_entropy_with_logits(logits, target).item(),
        "exact_match": sk.accuracy_score(target, decided),
        "f1_micro": sk.f1_score(target, decided, average="micro"),
        "f1_macro": sk.f1_score(target, decided, average="macro"),
        "mean_average_precision": sk.average_precision_score(target, chances),
    }
    assert found == pytest.approx(wanted, rel=1e-5)


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match=r"several labels are needed, received data.num_labels=1"):
        MultiLabel(Given(), 1)
    with pytest.raises(UserError, match=r"task.threshold must be in \(0, 1\), received 1"):
        MultiLabel(Given(), 2, threshold=1.0)
    with pytest.raises(UserError, match=r"logits of shape \(batch, 3\); Given returned \(4, 2\)"):
        MultiLabel(Given(), 3).step((torch.zeros(4, 2), torch.zeros(4, 3)))
