"""Losses of players, packs, the gradient penalty and looking ahead."""

import pytest
import torch
from torch import nn

from runner.tasks.games import GAMES, gradient_penalty, packs, unrolled

REAL, MADE = torch.tensor([2.0, -0.5]), torch.tensor([0.3, -3.0])


def test_the_losses_of_each_game():
    real, made = REAL.sigmoid(), MADE.sigmoid()
    told = -(torch.cat([real, 1 - made]).log().mean())
    wanted = {
        "minimax": (told, (1 - made).log().mean()),
        "non_saturating": (told, -made.log().mean()),
        "wasserstein": (MADE.mean() - REAL.mean(), -MADE.mean()),
        "hinge": (torch.tensor((0 + 1.5) / 2 + (1.3 + 0) / 2), -MADE.mean()),
    }
    assert set(wanted) == set(GAMES)
    for name, (discriminator, generator) in wanted.items():
        torch.testing.assert_close(GAMES[name].discriminator(REAL, MADE), discriminator)
        torch.testing.assert_close(GAMES[name].generator(MADE), generator)


def test_the_penalty_of_a_plane_is_known():
    real, made = torch.rand(5, 3), torch.rand(5, 3)
    plane = torch.tensor([2.0, 1.0, 2.0])  # its slope is 3
    assert gradient_penalty(lambda x: x @ plane, real, made).item() == pytest.approx(4)
    assert gradient_penalty(lambda x: x @ plane / 3, real, made).item() == pytest.approx(0, abs=1e-6)


def test_the_penalty_reaches_the_weights():
    judge = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
    gradient_penalty(judge, torch.rand(5, 3), torch.rand(5, 3)).backward()
    assert judge[0].weight.grad.any() and judge[2].weight.grad.any()


def test_looking_ahead_is_gradient_descent_that_is_not_kept():
    discriminator, game, steps, lr = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), GAMES["hinge"], 3, 0.2
    real, made = torch.randn(6, 2), torch.randn(6, 2, requires_grad=True)
    before = discriminator[0].weight.clone()
    found = unrolled(discriminator, game, real, made, steps, lr)
    assert torch.equal(discriminator[0].weight, before)
    found.sum().backward()
    assert made.grad.any() and discriminator[0].weight.grad is None
    optimizer = torch.optim.SGD(discriminator.parameters(), lr)
    for _ in range(steps):
        optimizer.zero_grad()
        game.discriminator(discriminator(real), discriminator(made.detach())).backward()
        optimizer.step()
    torch.testing.assert_close(found, discriminator(made))


def test_the_gradient_flows_through_the_steps_ahead():
    discriminator, game, lr = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Flatten(0)), GAMES["wasserstein"], 0.5
    real, made = torch.randn(6, 2), torch.randn(6, 2, requires_grad=True)
    (found,) = torch.autograd.grad(unrolled(discriminator, game, real, made, 1, lr).sum(), made)
    # The logits are made @ w with w = weight - lr * (mean of made - mean of real), so their sum depends on made twice.
    weight = discriminator[0].weight - lr * (made.mean(dim=0) - real.mean(dim=0))
    torch.testing.assert_close(found, (weight - lr * made.mean(dim=0)).expand(6, 2))


def test_packs_lie_one_after_another_and_begin_again():
    images = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 2, 1, 1)
    assert packs(images, 1) is images
    assert packs(images, 2)[:, :, 0, 0].tolist() == [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 0, 0]]
    assert packs(images[:1], 3)[:, :, 0, 0].tolist() == [[0] * 6]
