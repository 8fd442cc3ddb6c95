"""RMSProp with Nesterov momentum keeps to the algorithm of the book."""

import pytest
import torch
from optim_problems import START, gradient, valley

from runner.optim.rmsprop_nesterov import RMSpropNesterov


def test_rmsprop_nesterov_is_the_algorithm_of_the_book():
    """Algorithm 8.6 with its look-ahead written out; ours holds the look-ahead point between steps."""
    lr, decay, momentum, eps = 0.02, 0.9, 0.8, 1e-6
    w, v, r = START.clone(), torch.zeros(3).double(), torch.zeros(3).double()
    ours = START.clone().requires_grad_()
    optimizer = RMSpropNesterov([ours], lr=lr, decay=decay, momentum=momentum, eps=eps)
    for _ in range(40):
        torch.testing.assert_close(ours.detach(), w + momentum * v)
        g = gradient(w + momentum * v)
        r = decay * r + (1 - decay) * g * g
        v = momentum * v - lr * g / (r + eps).sqrt()
        w = w + v
        ours.grad = gradient(ours)
        optimizer.step()


def test_rmsprop_nesterov_without_momentum_is_rmsprop():
    ours, theirs = START.clone().requires_grad_(), START.clone().requires_grad_()
    one = RMSpropNesterov([ours], lr=0.02, decay=0.9, momentum=0.0, eps=1e-16)
    other = torch.optim.RMSprop([theirs], lr=0.02, alpha=0.9, eps=1e-12)
    for _ in range(20):
        for w, optimizer in ((ours, one), (theirs, other)):
            w.grad = gradient(w)
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_a_step_of_rate_zero_moves_nothing():
    w = START.clone().requires_grad_()
    optimizer = RMSpropNesterov([w], lr=0.1)
    optimizer.param_groups[0]["lr"] = 0.0
    w.grad = gradient(w)
    optimizer.step()
    assert torch.equal(w.detach(), START)


def test_parameters_without_a_gradient_are_left_alone():
    w, unused = START.clone().requires_grad_(), START.clone().requires_grad_()
    optimizer = RMSpropNesterov([w, unused], lr=0.1)
    assert optimizer.step(lambda: valley(w)) == valley(START)
    w.grad = gradient(w)
    optimizer.step()
    assert torch.equal(unused.detach(), START) and not torch.equal(w.detach(), START)


@pytest.mark.parametrize("wrong", [{"lr": -1}, {"momentum": 1}, {"eps": 0}])
def test_values_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="received"):
        RMSpropNesterov([START.clone().requires_grad_()], **wrong)
