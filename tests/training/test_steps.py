"""The steps written out are Lightning's own steps: the same weights, checkpoints, hooks and logged values."""

import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from small_runs import outcome, settings

from runner.tasks.classification import Classification
from runner.training.checkpoint import load_checkpoint
from runner.training.steps import HOOKS, Steps
from runner.training.train import train


class Watch(Callback):
    """Keeps which hooks are called in which order, with the loss or the number of the batch, and logs a value."""

    def __init__(self):
        self.seen = []
        for name in HOOKS:
            setattr(self, name, lambda trainer, task, *arguments, name=name: self.hook(name, trainer, task, arguments))

    def hook(self, name, trainer, task, arguments):
        if name == "on_before_optimizer_step":
            task.log("grad", next(task.parameters()).grad.norm(), on_epoch=True, on_step=False)
        losses = [float(value.detach()) for value in arguments if isinstance(value, torch.Tensor) and value.ndim == 0]
        outputs = [float(value["loss"]) for value in arguments if isinstance(value, dict)]
        numbers = [value for value in arguments if isinstance(value, int)]
        self.seen.append((name, trainer.global_step, losses, outputs, numbers))

    def on_train_epoch_end(self, trainer, task):
        self.seen.append(float(trainer.callback_metrics["grad"]) if "grad" in trainer.callback_metrics else None)


def equal(one, other) -> bool:
    """Whether nested containers of tensors are the same."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["trainer.gradient_clip_val=0.1", "schedule=cosine"],
        ["schedule=plateau", "schedule.patience=0", "regularise.l1=0.01", "regularise.max_norm={Linear:1}"],
        ["optim=sgd", "+trainer.val_check_interval=2"],
        ["+trainer.accumulate_grad_batches=2"],
    ],
)
def test_a_step_is_lightnings_own(tmp_path, no_figures, monkeypatch, overrides):
    cfg, ours, theirs = settings("mlp", *overrides), Watch(), Watch()
    train(cfg, tmp_path / "ours", stop=ours)
    monkeypatch.setattr(Steps, "advance", _TrainingEpochLoop.advance)
    train(cfg, tmp_path / "theirs", stop=theirs)
    assert ours.seen == theirs.seen and len(ours.seen) > 60
    assert outcome(tmp_path / "ours") == outcome(tmp_path / "theirs")
    last = [load_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("ours", "theirs")]
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "training_means"):
        assert equal(last[0][part], last[1][part]), part


def usual(tmp_path, *overrides: str) -> bool:
    """Whether a training took the short way."""

    class Ask(Callback):
        def on_train_end(self, trainer, task):
            self.answer = trainer.fit_loop.epoch_loop.usual

    ask = Ask()
    train(settings("mlp", *overrides), tmp_path, stop=ask)
    return ask.answer


def test_what_is_not_usual_goes_lightnings_way(tmp_path, no_figures, monkeypatch):
    assert usual(tmp_path / "usual")
    assert not usual(tmp_path / "added_up", "+trainer.accumulate_grad_batches=2")
    assert not usual(tmp_path / "half", "trainer.precision=bf16-mixed")
    assert not usual(tmp_path / "profiled", "+trainer.profiler=simple")
    monkeypatch.setattr(Classification, "training_step", lambda task, batch, number: task.step(batch)["loss"])
    assert not usual(tmp_path / "own_step")
