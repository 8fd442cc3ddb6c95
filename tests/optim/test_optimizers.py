"""Every choice of `optim=` learns and goes on exactly after a stop; our own ones keep to their equations."""

import io

import pytest
import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback
from small_runs import composed, settings
from torch import nn

from runner.config.catalog import choices
from runner.config.compose import compose
from runner.optim.build import optimizer_builder
from runner.optim.ftrl import FTRL
from runner.optim.rmsprop_nesterov import RMSpropNesterov
from runner.training.train import train

NAMES = """sgd momentum nesterov adagrad rmsprop rmsprop_momentum rmsprop_nesterov adadelta adam amsgrad adamax nadam
adamw ftrl"""


def optim(name: str) -> DictConfig:
    return composed((f"optim={name}",)).optim


def problem() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A small net and three groups of points."""
    torch.manual_seed(0)
    x, y = torch.randn(90, 4), torch.arange(90) % 3
    x[torch.arange(90), y] += 2
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), x, y


def steps(
    net: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, count: int
) -> list[float]:
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_all_of_the_table_are_there():
    assert set(NAMES.split()) <= set(choices("optim"))


@pytest.mark.parametrize("name", choices("optim"))
def test_every_optimizer_lowers_the_loss(name):
    net, x, y = problem()
    losses = steps(net, optimizer_builder(optim(name))(net.parameters()), x, y, 150)
    assert losses[-1] < losses[0] - 0.03 and losses[-1] <= min(losses) + 0.01


@pytest.mark.parametrize("name", choices("optim"))
def test_every_optimizer_goes_on_exactly(name):
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
    assert optimizer_builder(optim("adam"))(net.parameters()).defaults["fused"]
    assert not optimizer_builder(optim("adam"), "16-mixed")(net.parameters()).defaults["fused"]
    plain = composed(("optim=adam", "+optim.foreach=true")).optim
    assert not optimizer_builder(plain)(net.parameters()).defaults["fused"]
    assert "fused" not in optimizer_builder(optim("rmsprop"))(net.parameters()).defaults


# A curved valley, whose gradient is known at any point.


def valley(w: torch.Tensor) -> torch.Tensor:
    return 0.5 * (w**2 * torch.tensor([1.0, 20.0, 0.1])).sum() + w.prod()


def gradient(w: torch.Tensor) -> torch.Tensor:
    w = w.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(valley(w), w)
    return found


START = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)


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
    for cls in (FTRL, RMSpropNesterov):
        w = START.clone().requires_grad_()
        optimizer = cls([w], lr=0.1)
        optimizer.param_groups[0]["lr"] = 0.0
        w.grad = gradient(w)
        optimizer.step()
        assert torch.equal(w.detach(), START)


def test_parameters_without_a_gradient_are_left_alone():
    for cls in (FTRL, RMSpropNesterov):
        w, unused = START.clone().requires_grad_(), START.clone().requires_grad_()
        optimizer = cls([w, unused], lr=0.1)
        assert optimizer.step(lambda w=w: valley(w)) == valley(START)
        w.grad = gradient(w)
        optimizer.step()
        assert torch.equal(unused.detach(), START) and not torch.equal(w.detach(), START)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: FTRL(p, lr=0),
        lambda p: FTRL(p, beta=0),
        lambda p: FTRL(p, l1=-1),
        lambda p: RMSpropNesterov(p, lr=-1),
        lambda p: RMSpropNesterov(p, momentum=1),
        lambda p: RMSpropNesterov(p, eps=0),
    ],
)
def test_values_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="received"):
        wrong([START.clone().requires_grad_()])


# All of them on one problem.


class FirstNets(Callback):
    """Remembers the weights that the nets begin with."""

    def on_train_start(self, trainer, pl_module):
        self.states = [
            {name: value.clone() for name, value in net.state_dict().items()} for net in pl_module.nets.values()
        ]


def test_the_experiment_draws_all_of_them(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr("runner.training.train.draw", lambda folder, figures, *rest: drawn.update(figures))
    compared = set(compose(["experiment=optimizers"]).task.optimizers)
    assert compared == set(NAMES.split())
    first = FirstNets()
    metrics = train(settings("mlp", "experiment=optimizers", "data=iris", "model.dropout=0"), tmp_path, None, first)
    assert all(torch.equal(state[name], first.states[0][name]) for state in first.states for name in state)
    assert {f"test/loss_{name}" for name in compared} <= set(metrics)
    assert len({round(metrics[f"train/loss_{name}"], 9) for name in compared - {"amsgrad"}}) == len(compared) - 1
    panels = drawn["optimizers"].axes
    assert len(panels) == 2 and all(len(panel.get_lines()) == len(compared) for panel in panels)
