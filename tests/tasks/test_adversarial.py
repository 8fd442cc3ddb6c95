"""Two players in turn, each with an optimizer of its own."""

import numpy as np
import pytest
import torch
from small_runs import SignalAt, outcome, resumed, settings, stopped
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
    assert gan.generator_loss(real).item() == pytest.approx(-(1 - right[1]).log().mean().item(), rel=1e-4)


def test_the_discriminator_sends_no_gradient_to_the_generator(gan):
    gan.discriminator_loss(torch.rand(4, 1, 28, 28)).backward()
    assert all(parameter.grad is None for parameter in gan.net.generator.parameters())


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


REMEDIES = [
    ["task.loss=minimax", "model.packing=3", "task.gradient_penalty=1"],
    ["task.loss=wasserstein", "task.discriminator_steps=2"],
    ["task.loss=hinge", "model.spectral_norm=true", "task.unrolled_steps=2"],
]


@pytest.mark.parametrize("typed", REMEDIES, ids=lambda typed: typed[0])
def test_every_remedy_trains_and_a_stopped_run_ends_like_the_uninterrupted_one(typed, tmp_path, no_figures):
    cfg = settings("dcgan", *typed, "trainer.max_epochs=2")
    from runner.training.train import train

    train(cfg, tmp_path / "whole")
    assert stopped(cfg, tmp_path / "stopped", SignalAt("on_train_batch_end", 6))
    resumed(cfg, tmp_path / "stopped")
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "whole")


def test_the_players_of_codes_resume_too(tmp_path, no_figures):
    from runner.training.train import train

    cfg = settings("aae", "trainer.max_epochs=2")
    train(cfg, tmp_path / "whole")
    assert stopped(cfg, tmp_path / "stopped", SignalAt("on_train_batch_end", 6))
    resumed(cfg, tmp_path / "stopped")
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "whole")


def test_samples_are_judged_after_the_training_and_again(tmp_path, monkeypatch):
    from runner.training.train import train
    from runner.verbs.evaluate import on_split

    monkeypatch.setattr("runner.tasks.judge.STEPS", 60)
    monkeypatch.setattr("runner.tasks.adversarial.COMPARED", 100)  # of a file that is sorted by class
    found = train(settings("gan", "task.judged=50"), tmp_path)
    assert found["test/classifier_score_real"] > 3  # more than the two digits of the first hundred rows
    assert 1 <= found["test/classifier_score"] <= 10 and found["test/class_coverage"] in range(11)
    assert found["test/frechet_distance_real"] < found["test/frechet_distance"]
    assert on_split(tmp_path, "test", {}) == 0
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"samples.png", "samples.gif", "losses.png"} <= names


def test_questions_of_a_gan(gan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gan.eval()
    assert gan.questions()["sample"]("5", None)[0]["images"] == 5
    gan.questions()["interpolate"]("1|2", None)
    made = np.load("interpolation.npy")
    assert np.allclose(made[0], gan.made(gan.seeded_noise(1, 1))[0], atol=1e-6) and len(made) == 10
    with pytest.raises(
        UserError, match="takes two whole numbers, the seeds of the noise, received 'a|2'".replace("|", r"\|")
    ):
        gan.questions()["interpolate"]("a|2", None)
