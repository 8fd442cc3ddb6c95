"""Each loss against its formula written out, and what `task.loss` may name."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import hinge_loss

from runner.config.functions import function
from runner.errors import UserError
from runner.tasks import losses
from runner.tasks.classification import Classification
from runner.tasks.losses import CLASS_LOSSES, VALUE_LOSSES, class_loss, mean_loss, weighted_loss
from runner.tasks.regression import Regression


@pytest.fixture
def scores() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return 2 * torch.randn(7, 4), torch.tensor([0, 1, 2, 3, 3, 0, 1])


@pytest.fixture
def binary() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return 2 * torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0])


def written_out(name: str, row: list[float], right: int) -> float:
    """The loss of one example with more than two classes."""
    answers = [1 if number == right else -1 for number in range(len(row))]
    margins = [answer * score for answer, score in zip(answers, row, strict=True)]
    if name == "hinge":
        return float(np.mean([max(0, 1 - margin) for margin in margins]))
    if name == "squared_hinge":
        return float(np.mean([max(0, 1 - margin) ** 2 for margin in margins]))
    if name == "binary_cross_entropy":
        return float(np.mean([math.log(1 + math.exp(-margin)) for margin in margins]))
    if name == "pairwise_ranking_hinge":
        return float(np.mean([max(0, 1 - row[right] + score) for k, score in enumerate(row) if k != right]))
    if name == "ordinal":
        shares = np.exp(row) / np.exp(row).sum()
        above = [shares[k:].sum() for k in range(1, len(row))]
        return -float(sum(math.log(p if right >= k else 1 - p) for k, p in enumerate(above, 1)))
    p = math.exp(row[right]) / sum(math.exp(score) for score in row)
    return -math.log(p) * {"cross_entropy": 1, "focal": (1 - p) ** 2}[name]


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_class_losses_are_their_formulas(name, scores):
    logits, target = scores
    wanted = [written_out(name, row, right) for row, right in zip(logits.tolist(), target.tolist(), strict=True)]
    each = CLASS_LOSSES[name](logits, target, reduction="none")
    torch.testing.assert_close(each, torch.tensor(wanted))
    torch.testing.assert_close(CLASS_LOSSES[name](logits, target), torch.tensor(wanted).mean())


def test_two_classes_are_one_question(binary):
    """Then the sigmoid of the difference is the softmax, and the hinge losses are those of a single score."""
    logits, target = binary
    margin = (logits[:, 1] - logits[:, 0]).numpy()
    torch.testing.assert_close(losses.binary_cross_entropy(logits, target), F.cross_entropy(logits, target))
    wanted = hinge_loss(2 * target.numpy() - 1, margin)
    assert losses.hinge(logits, target).item() == pytest.approx(wanted, rel=1e-6)
    assert losses.pairwise_ranking_hinge(logits, target).item() == pytest.approx(wanted, rel=1e-6)


def test_relatives_in_torch(scores):
    logits, target = scores
    torch.testing.assert_close(
        losses.pairwise_ranking_hinge(logits, target), F.multi_margin_loss(logits, target) * 4 / 3
    )
    torch.testing.assert_close(losses.focal(logits, target, gamma=0), F.cross_entropy(logits, target))


@pytest.mark.parametrize(("name", "of_torch"), [("mse", F.mse_loss), ("mae", F.l1_loss), ("huber", F.huber_loss)])
def test_value_losses_are_those_of_torch(name, of_torch):
    output, target = 2 * torch.randn(5, 3), torch.randn(5, 3)
    torch.testing.assert_close(VALUE_LOSSES[name](output, target), of_torch(output, target))
    each = VALUE_LOSSES[name](output, target, reduction="none")
    torch.testing.assert_close(each, of_torch(output, target, reduction="none").mean(dim=1))


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_every_class_loss_can_be_learnt_with(name):
    torch.manual_seed(0)
    x, y = torch.randn(60, 3), torch.arange(60) % 3
    x[torch.arange(60), y] += 3
    task = Classification(torch.nn.Linear(3, 3), 3, loss=name)
    optimizer = torch.optim.SGD(task.parameters(), lr=0.3)
    before = task.step((x, y))["loss"].item()
    for _ in range(50):
        optimizer.zero_grad()
        task.step((x, y))["loss"].backward()
        optimizer.step()
    after = task.step((x, y))
    assert after["loss"].item() < 0.7 * before and after["accuracy"].item() > 0.9


def test_weights_of_examples(scores):
    logits, target = scores
    weights = torch.tensor([0.5, 2.0, 1.0, 4.0])[target]
    each = F.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(weighted_loss(F.cross_entropy, logits, target, weights), (weights * each).mean())
    with pytest.raises(UserError, match="one number for each example"):
        weighted_loss(torch.nn.CrossEntropyLoss(), logits, target, weights)


OWN = """
import torch

def ones(logits, target):
    return torch.ones(len(target))

def scaled(logits, target, factor):
    return factor * torch.ones(())

class Twos:
    def __call__(self, logits, target):
        return 2 * torch.ones(len(target))
"""


def test_a_loss_of_ones_own(tmp_path, monkeypatch, binary):
    (tmp_path / "own_losses_here.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    values = torch.ones(3, 2), torch.ones(3, 2)
    for choice, value in (
        ("own_losses_here.ones", 1.0),
        ("own_losses_here.Twos", 2.0),
        ({"_target_": "own_losses_here.Twos"}, 2.0),
        ({"_target_": "own_losses_here.scaled", "_partial_": True, "factor": 3.0}, 3.0),
    ):
        assert Classification(torch.nn.Linear(2, 2), 2, loss=choice).step(binary)["loss"].item() == value
        assert Regression(torch.nn.Linear(2, 2), 2, loss=choice).step(values)["loss"].item() == value


def test_a_node_of_torch():
    logits, target = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    task = Classification(torch.nn.Identity(), 3, loss={"_target_": "torch.nn.NLLLoss", "reduction": "none"})
    torch.testing.assert_close(mean_loss(task.loss, logits, target), F.nll_loss(logits, target))


def test_a_loss_is_tried_before_training():
    """torch looks at the settings of a loss only when it is called."""
    state = torch.get_rng_state()
    with pytest.raises(UserError, match=r"task.loss \(torch.nn.HuberLoss\): .*delta \(received task.loss.delta=-1\)"):
        Regression(torch.nn.Identity(), 2, loss={"_target_": "torch.nn.HuberLoss", "delta": -1})
    with pytest.raises(UserError, match=r"task.loss \(torch.nn.MSELoss\)"):
        Classification(torch.nn.Identity(), 3, loss={"_target_": "torch.nn.MSELoss"})
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("hinje", 'Did you mean "hinge"'),
        ("os.system", "none of these"),
        ("runner.tasks.losses.nothing", "has no nothing"),
        ("", "is not known"),
    ],
)
def test_names_that_lead_nowhere(choice, message):
    with pytest.raises(UserError, match=message):
        function(choice, CLASS_LOSSES, "task.loss")


def test_what_does_not_go_together():
    with pytest.raises(UserError, match=r"0 \.\. 1"):
        class_loss("cross_entropy", 3, label_smoothing=2)
    with pytest.raises(UserError, match=r"belongs to task\.loss=cross_entropy"):
        class_loss("hinge", 3, label_smoothing=0.1)
    with pytest.raises(UserError, match="imbalance=focal"):
        class_loss("hinge", 3, focal=True)
    assert class_loss("cross_entropy", 3, focal=True) is losses.focal
