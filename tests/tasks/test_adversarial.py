"""Two players in turn, each with an optimizer of its own."""

import pytest
import torch
from small_runs import settings
from torch import nn

from runner.build import build_task
from runner.errors import UserError
from runner.tasks.adversarial import Adversarial


@pytest.fixture
def gan() -> Adversarial:
    torch.manual_seed(0)
    return build_task(settings("gan", "task.discriminator_steps=3"))


def moved(before: dict, module: nn.Module) -> set[str]:
    """The players whose parameters have changed."""
    return {name.split(".")[0] for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


def test_the_players_take_turns_and_move_only_themselves(gan, monkeypatch):
    class Trainer:
        gradient_clip_val = gradient_clip_algorithm = None

    optimizers = gan.optimizer(gan.net.generator.parameters()), gan.optimizer(gan.net.discriminator.parameters())
    turns = []

    def update(optimizer, loss):
        before = {name: value.clone() for name, value in gan.net.state_dict().items()}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        turns.append(moved(before, gan.net))
        return loss

    monkeypatch.setattr(gan, "optimizers", lambda: optimizers)
    monkeypatch.setattr(gan, "lr_schedulers", lambda: None)
    monkeypatch.setattr(gan, "update", update)
    gan.training_step((torch.rand(6, 1, 28, 28), torch.zeros(6)), 0)
    assert turns == [{"discriminator"}] * 3 + [{"generator"}]
    assert set(gan.training_means.close()) == {"discriminator_loss", "generator_loss"}


def test_the_losses_of_the_players(gan):
    gan.eval()
    real = torch.rand(4, 1, 28, 28)
    torch.manual_seed(1)
    found = gan.discriminator_loss(real)
    torch.manual_seed(1)
    fake = gan.net.generator(torch.randn(4, gan.net.latent_dim))
    right = gan.net.discriminator(real.reshape_as(fake)).sigmoid(), 1 - gan.net.discriminator(fake).sigmoid()
    assert found.item() == pytest.approx(-torch.cat(right).log().mean().item(), rel=1e-5)
    torch.manual_seed(1)
    assert gan.generator_loss(4).item() == pytest.approx(-(1 - right[1]).log().mean().item(), rel=1e-4)


def test_the_discriminator_sends_no_gradient_to_the_generator(gan):
    gan.discriminator_loss(torch.rand(4, 1, 28, 28)).backward()
    assert all(parameter.grad is None for parameter in gan.net.generator.parameters())


def test_steps_of_the_discriminator():
    with pytest.raises(UserError, match=r"task.discriminator_steps must be at least 1, received 0"):
        build_task(settings("gan", "task.discriminator_steps=0"))


def test_a_gan_clips_its_gradients(tmp_path, no_figures, monkeypatch):
    from runner.training.train import train

    norms = []
    clip = Adversarial.clip

    def noted(task, optimizer):
        clip(task, optimizer)
        grads = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.cat(grads).norm().item())

    monkeypatch.setattr(Adversarial, "clip", noted)
    train(settings("gan", "trainer.gradient_clip_val=0.001"), tmp_path)
    assert max(norms) <= 0.00101 and len(norms) == 2 * 15
