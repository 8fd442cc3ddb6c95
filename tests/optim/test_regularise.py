"""Penalties and limits against sums written out, and clipping."""

import pytest
import torch
from pytorch_lightning import Callback
from small_runs import settings
from torch import nn

from runner.build import build_task
from runner.errors import UserError
from runner.optim.regularise import Regulariser
from runner.tasks.classification import Classification
from runner.training.train import train


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 5)
        self.norm = nn.BatchNorm1d(5)
        self.act = nn.Tanh()
        self.output = nn.Linear(5, 3)

    def forward(self, x):
        return self.output(self.act(self.norm(self.hidden(x))))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def penalty(net: nn.Module, **settings) -> torch.Tensor:
    regularise = Regulariser(**settings)
    regularise.attach(net)
    return regularise.penalty(net)


def test_weights_and_biases(net):
    weights, biases = [net.hidden.weight, net.output.weight], [net.hidden.bias, net.output.bias]
    torch.testing.assert_close(penalty(net, l1=0.1), sum(0.1 * each.abs().sum() for each in weights))
    torch.testing.assert_close(penalty(net, l2=0.1), sum(0.1 * (each**2).sum() for each in weights))
    torch.testing.assert_close(penalty(net, bias_l1=0.1), sum(0.1 * each.abs().sum() for each in biases))
    torch.testing.assert_close(penalty(net, bias_l2=0.1), sum(0.1 * (each**2).sum() for each in biases))
    both = penalty(net, l1=0.1, l2=0.2, layers=["output"])
    torch.testing.assert_close(both, 0.1 * net.output.weight.abs().sum() + 0.2 * (net.output.weight**2).sum())
    torch.testing.assert_close(penalty(net, l2=1.0, layers=["Linear"]), penalty(net, l2=1.0))


def test_shared_weights_count_once(net):
    net.again = net.hidden
    assert penalty(net, l2=1.0, layers=["hidden", "again"]) == (net.hidden.weight**2).sum()


def test_activations_of_an_example(net):
    x = torch.randn(6, 4)
    regularise = Regulariser(activation_l1=0.1, activation_l2=0.2)
    regularise.attach(net)
    net(x)
    with torch.no_grad():
        net(x)  # what has no gradient does not count
    found = regularise.penalty(net)
    values = net.act(net.norm(net.hidden(x)))
    torch.testing.assert_close(found, (0.1 * values.abs() + 0.2 * values**2).sum(dim=1).mean())
    regularise.penalty(net).backward()  # of the forward pass for `values`
    assert net.hidden.weight.grad.abs().sum() > 0
    assert regularise.penalty(net) == 0
    net.eval()
    net(x)
    assert regularise.penalty(net) == 0
    net.train()
    regularise.detach()
    net(x)
    assert not regularise.activations and not net.act._forward_hooks


def test_activations_of_named_layers(net):
    regularise = Regulariser(activation_l2=1.0, activation_layers=["output"])
    regularise.attach(net)
    logits = net(torch.randn(6, 4))
    torch.testing.assert_close(regularise.penalty(net), (logits**2).sum(dim=1).mean())


def test_a_recurrent_layer_counts_its_outputs():
    net = nn.Sequential(nn.GRU(3, 4, batch_first=True))
    regularise = Regulariser(activation_l1=1.0, activation_layers=["GRU"], l2=1.0)
    regularise.attach(net)
    values, _ = net(torch.randn(2, 5, 3))
    weights = net[0].weight_ih_l0.square().sum() + net[0].weight_hh_l0.square().sum()
    torch.testing.assert_close(regularise.penalty(net), values.abs().sum(dim=(1, 2)).mean() + weights)


def test_max_norm_cuts_the_long_rows_alone(net):
    with torch.no_grad():
        net.output.weight[0] = 2.0  # norm 2 * sqrt(5)
    before = net.output.weight.clone()
    regularise = Regulariser(max_norm={"output": 3.0})
    assert not regularise.penalises and not regularise.changes_nothing
    regularise.attach(net)
    regularise.limit()
    assert net.output.weight[0].norm().item() == pytest.approx(3, rel=1e-5)
    torch.testing.assert_close(net.output.weight[0], before[0] * 3 / before[0].norm())
    assert torch.equal(net.output.weight[1:], before[1:])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_norm": {"output": 0}}, "must be above 0"),
        ({"penalties": ["nothing_here"]}, "is not known"),
    ],
)
def test_values_that_cannot_be(wrong, message):
    with pytest.raises(UserError, match=message):
        Regulariser(**wrong)


def test_layers_that_are_not_there(net):
    with pytest.raises(UserError, match=r"no layer 'outputs'. Its layers: hidden \(Linear\)"):
        penalty(net, l2=1.0, layers=["outputs"])
    with pytest.raises(UserError, match="max_norm: Net has no layer"):
        penalty(net, max_norm={"nothing": 1.0})
    with pytest.raises(UserError, match="activation_layers"):
        penalty(nn.Sequential(nn.Linear(2, 2)), activation_l1=1.0)


def test_nothing_is_done_unless_asked_for():
    task = build_task(settings("mlp"))
    assert task.regularise is None and task.augment is None


def test_an_estimator_has_no_steps_to_penalise():
    with pytest.raises(UserError, match="fits without training steps"):
        build_task(settings("tfidf_linear", "regularise.l2=0.1"))


def test_l2_is_weight_decay(net):
    """Plain SGD on loss + 0.05 * w^2 is SGD with weight decay 0.1."""
    net = nn.Linear(4, 3, bias=False)
    twin = nn.Linear(4, 3, bias=False)
    twin.load_state_dict(net.state_dict())
    x, y = torch.randn(8, 4), torch.arange(8) % 3
    tasks = [Classification(each, 3) for each in (net, twin)]
    optimizers = [
        torch.optim.SGD(net.parameters(), lr=0.1),
        torch.optim.SGD(twin.parameters(), lr=0.1, weight_decay=0.1),
    ]
    tasks[0].regularise = Regulariser(l2=0.05)
    tasks[0].regularise.attach(net)
    for _ in range(5):
        losses = []
        for task, optimizer in zip(tasks, optimizers, strict=True):
            optimizer.zero_grad()
            task.training_step((x, y), 0).backward()
            losses.append(task.training_means.close()["loss"])
            optimizer.step()
        torch.testing.assert_close(net.weight, twin.weight)
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # what is reported leaves the penalty out


OWN = """
def far_from_one(net):
    return sum(((each - 1) ** 2).sum() for each in net.parameters())

class Times:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, net):
        return self.factor * far_from_one(net)
"""


def test_penalties_of_ones_own(net, tmp_path, monkeypatch):
    (tmp_path / "own_penalties_here.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    node = {"_target_": "own_penalties_here.Times", "factor": 0.5}
    wanted = 1.5 * sum(((each - 1) ** 2).sum() for each in net.parameters())
    torch.testing.assert_close(penalty(net, penalties=["own_penalties_here.far_from_one", node]), wanted)


# In a run.


def test_a_run_with_everything_switched_on(tmp_path):
    cfg = settings(
        "textcnn", "regularise.l2=0.01", "regularise.max_norm={output:0.3}", "regularise.activation_l1=0.001"
    )
    cfg.regularise.activation_layers = ["convolutions.*"]
    metrics = train(cfg, tmp_path)
    assert metrics["train/penalty"] > 0 and "val/penalty" not in metrics
    task = build_task(cfg)
    task.load_weights(tmp_path / "model")
    assert task.net.output.weight.norm(dim=1).max() <= 0.3 + 1e-5


def test_a_gan_is_penalised_too(tmp_path):
    """A large penalty is all that either player then works on."""
    cfg = settings("gan", "optim=sgd", "optim.lr=0.01", "regularise.l2=10")
    start = build_task(cfg).net
    (tmp_path / "run").mkdir()
    train(cfg, tmp_path / "run")
    task = build_task(cfg)
    task.load_weights(tmp_path / "run" / "model")
    for player in ("generator", "discriminator"):
        lengths = [
            sum(each.square().sum() for name, each in net.named_parameters() if player in name and "weight" in name)
            for net in (start, task.net)
        ]
        assert lengths[1] < lengths[0] / 10


class Gradients(Callback):
    """Remembers how large the gradients are that each optimizer step has used."""

    def __init__(self):
        self.sizes: dict[str, list[float]] = {"norm": [], "value": []}

    def on_train_start(self, trainer, pl_module):
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(self.look)

    def look(self, optimizer, args, kwargs):
        gradients = [each.grad for group in optimizer.param_groups for each in group["params"]]
        self.sizes["norm"].append(torch.stack([each.norm() for each in gradients]).norm().item())
        self.sizes["value"].append(max(each.abs().max().item() for each in gradients))


@pytest.mark.parametrize("which", ["mlp", "gan"])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipping(which, algorithm, tmp_path):
    limits = ["trainer.gradient_clip_val=0.001", f"trainer.gradient_clip_algorithm={algorithm}", "trainer.max_epochs=1"]
    gradients = Gradients()
    train(settings(which, "optim=sgd", "optim.lr=0.1", *limits), tmp_path, None, gradients)
    sizes = gradients.sizes[algorithm]
    assert len(sizes) == {"mlp": 5, "gan": 10}[which]
    assert 0.0009 < max(sizes) < 0.00101
