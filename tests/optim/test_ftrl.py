"""FTRL-Proximal keeps to the equations of its source."""

import pytest
import torch
from optim_problems import START, gradient, problem, steps, valley
from torch import nn

from runner.optim.ftrl import FTRL


def test_ftrl_is_algorithm_1_of_the_source():
    """Per coordinate, from zero weights, as written in McMahan et al. 2013."""
    alpha, beta, l1, l2 = 0.3, 0.7, 0.2, 0.05
    torch.manual_seed(0)
    examples = torch.randn(60, 4).double() * torch.tensor([1.0, 1.0, 0.1, 0.0])
    answers = (examples[:, 0] - examples[:, 1] > 0).double()
    ours = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = FTRL([ours], lr=alpha, beta=beta, l1=l1, l2=l2)
    z, n, w = [0.0] * 4, [0.0] * 4, [0.0] * 4
    for x, y in zip(examples, answers, strict=True):
        for i in range(4):
            shrunk = z[i] - l1 * (1 if z[i] > 0 else -1)
            w[i] = 0.0 if abs(z[i]) <= l1 else -shrunk / ((beta + n[i] ** 0.5) / alpha + l2)
        torch.testing.assert_close(ours.detach(), torch.tensor(w, dtype=torch.float64))
        p = torch.sigmoid((torch.tensor(w, dtype=torch.float64) * x).sum())
        for i in range(4):
            g = ((p - y) * x[i]).item()
            sigma = ((n[i] + g * g) ** 0.5 - n[i] ** 0.5) / alpha
            z[i] += g - sigma * w[i]
            n[i] += g * g
        loss = nn.functional.binary_cross_entropy_with_logits((ours * x).sum(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ours[0] > 0 > ours[1] and ours[3] == 0


def test_ftrl_without_penalties_is_adagrad():
    """Also from weights that are not zero, and with a learning rate that changes on the way."""
    ours, theirs = START.clone().requires_grad_(), START.clone().requires_grad_()
    one = FTRL([ours], lr=0.5, beta=0.5)
    other = torch.optim.Adagrad([theirs], lr=0.5, eps=0.5)
    for step in range(30):
        for w, optimizer in ((ours, one), (theirs, other)):
            optimizer.param_groups[0]["lr"] = 0.5 / (1 + step // 10)
            w.grad = gradient(w)
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_ftrl_makes_weights_exactly_zero():
    _, x, y = problem()
    net = nn.Linear(10, 3)
    optimizer = FTRL(net.parameters(), lr=0.1, l1=5.0)
    for _ in range(60):
        noise = torch.randn(90, 6)  # six columns that say nothing
        steps(net, optimizer, torch.cat([x, noise], dim=1), y, 1)
    assert (net.weight[:, 4:] == 0).all() and (net.weight[:, :3].diag() > 0.3).all()


def test_a_step_of_rate_zero_moves_nothing():
    w = START.clone().requires_grad_()
    optimizer = FTRL([w], lr=0.1)
    optimizer.param_groups[0]["lr"] = 0.0
    w.grad = gradient(w)
    optimizer.step()
    assert torch.equal(w.detach(), START)


def test_parameters_without_a_gradient_are_left_alone():
    w, unused = START.clone().requires_grad_(), START.clone().requires_grad_()
    optimizer = FTRL([w, unused], lr=0.1)
    assert optimizer.step(lambda: valley(w)) == valley(START)
    w.grad = gradient(w)
    optimizer.step()
    assert torch.equal(unused.detach(), START) and not torch.equal(w.detach(), START)


@pytest.mark.parametrize("wrong", [{"lr": 0}, {"beta": 0}, {"l1": -1}])
def test_values_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="received"):
        FTRL([START.clone().requires_grad_()], **wrong)
