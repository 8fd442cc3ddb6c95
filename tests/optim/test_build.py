"""Every choice of `optim=` learns and continues exactly after a stop; groups of parameters keep their factors."""

import io

import pytest
import torch
from omegaconf import DictConfig
from optim_problems import problem, steps
from small_runs import composed
from torch import nn

from runner.config.catalog import choices
from runner.errors import UserError
from runner.optim.build import learning_rate, optimizer_builder, set_learning_rate
from runner.optim.schedules import cosine


def optim(name: str) -> DictConfig:
    return composed((f"optim={name}",)).optim


@pytest.mark.parametrize("name", choices("optim"))
def test_every_optimizer_lowers_the_loss(name):
    net, x, y = problem()
    losses = steps(net, optimizer_builder(optim(name))(net.parameters()), x, y, 220)
    assert losses[-1] < losses[0] - 0.03 and losses[-1] <= min(losses) + 0.01


@pytest.mark.parametrize("name", choices("optim"))
def test_every_optimizer_continues_exactly(name):
    """Its state survives a file read with weights_only, and the steps after that are the same to the last bit."""
    net, x, y = problem()
    build = optimizer_builder(optim(name))
    optimizer = build(net.parameters())
    steps(net, optimizer, x, y, 5)
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, file)
    wanted = steps(net, optimizer, x, y, 5)

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again, _, _ = problem()
    again.load_state_dict(saved["net"])
    optimizer = build(again.parameters())
    optimizer.load_state_dict(saved["optimizer"])
    assert steps(again, optimizer, x, y, 5) == wanted
    assert all(torch.equal(one, other) for one, other in zip(net.parameters(), again.parameters(), strict=True))


def test_fused_where_torch_has_it_unless_the_user_says_otherwise():
    net, _, _ = problem()
    assert optimizer_builder(optim("adam"))(net).defaults["fused"]
    assert not optimizer_builder(optim("adam"), "16-mixed")(net).defaults["fused"]
    plain = composed(("optim=adam", "+optim.foreach=true")).optim
    assert not optimizer_builder(plain)(net).defaults["fused"]
    assert "fused" not in optimizer_builder(optim("rmsprop"))(net).defaults


class Grouped(nn.Module):
    """A net that trains its first layer slowly; the last one is in no group."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))

    def parameter_groups(self):
        return [{"params": list(self.first.parameters()), "lr_factor": 0.1}]


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def test_groups_of_a_net_keep_their_factor_under_a_schedule_and_after_a_stop():
    net = Grouped()
    optimizer = optimizer_builder(optim("sgd"))(net)
    base = optim("sgd").lr
    assert rates(optimizer) == pytest.approx([base / 10, base])
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]
    scheduler = cosine(optimizer, total_steps=10, steps_per_epoch=5)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    assert rates(optimizer) == pytest.approx([base / 20, base / 2])
    again = optimizer_builder(optim("sgd"))(net)
    again.load_state_dict(optimizer.state_dict())
    set_learning_rate(again, 3.0)
    assert rates(again) == pytest.approx([0.3, 3.0]) and learning_rate(again) == pytest.approx(3.0)


def test_a_group_with_a_small_factor_moves_less():
    _, x, y = problem()
    net = Grouped()
    weights = (net.first.weight.detach(), net.last.weight.detach())
    before = [weight.clone() for weight in weights]
    steps(net, optimizer_builder(optim("adam"))(net), x, y, 1)
    first, last = (float((now - old).abs().max()) for now, old in zip(weights, before, strict=True))
    assert first == pytest.approx(last / 10, rel=0.01)


def test_frozen_parameters_are_left_out():
    net = Grouped()
    net.first.weight.requires_grad_(False)
    optimizer = optimizer_builder(optim("adamw"))(net)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 2]
    net.first.bias.requires_grad_(False)
    assert rates(optimizer_builder(optim("adamw"))(net)) == [optim("adamw").lr]
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for trained in (net, net.parameters(), nn.ReLU()):
        with pytest.raises(UserError, match="nothing to train"):
            optimizer_builder(optim("adamw"))(trained)


def test_what_an_optimizer_refuses_is_the_mistake_of_a_setting():
    net, _, _ = problem()
    with pytest.raises(UserError, match=r"optim \(torch.optim.Adam\): .*-1"):
        optimizer_builder(composed(("optim=adam", "optim.lr=-1")).optim)(net)
