"""Changed batches in a run: when, for whom, and the same after a resume."""

import pytest
from small_runs import KillAt, outcome, resumed, settings, stopped
from torch import nn

from runner.augment import Augmentation
from runner.augment.images import Elastic, Erase, Rotate, Shift
from runner.augment.text import Drop, Swap, Synonyms
from runner.build import build_task
from runner.errors import UserError
from runner.training.train import train


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Shift(-1),
        lambda: Rotate(-1),
        lambda: Elastic(smoothness=0),
        lambda: Erase(1.5),
        lambda: Erase(area=(0.3, 0.2)),
        lambda: Swap(-0.1),
        lambda: Drop(2),
        lambda: Synonyms(2),
    ],
)
def test_values_that_cannot_be(wrong):
    with pytest.raises(UserError, match=r"augment\."):
        wrong()


def test_a_language_model_keeps_its_targets_in_step(tmp_path):
    with pytest.raises(UserError, match="a target for each word"):
        train(settings("char_rnn", "augment=text", "augment.synonyms=null"), tmp_path)


def test_an_estimator_has_no_batches_to_change():
    with pytest.raises(UserError, match="fits without training steps"):
        build_task(settings("tfidf_linear", "augment=text"))


class Count(nn.Module):
    """Counts the batches that pass through it."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x


def test_training_batches_alone_are_changed(tmp_path, monkeypatch):
    count = Count()
    monkeypatch.setattr("runner.build.build_augment", lambda cfg: Augmentation({"count": count}))
    train(settings("mlp"), tmp_path)
    assert count.calls == 3 * 5  # epochs times batches


RUNS = {
    "images": ["softmax_regression", "data=mnist_5k", "augment=images", "optim=ftrl", "schedule=one_cycle",
               "task.imbalance=[bias,oversample]", "regularise.l1=0.001"],
    "texts": ["textcnn", "augment=text", "optim=rmsprop_nesterov", "schedule=warmup", "task.imbalance=class_weight",
              "regularise.max_norm={output:0.5}", "task.threshold=validation"],
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_a_run_with_everything_resumes_exactly(name, tmp_path, no_figures):
    model, *overrides = RUNS[name]
    cfg = settings(model, *overrides, "callbacks.checkpoint.every_n_steps=2")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    for folder in (whole, halves):
        folder.mkdir()
    train(cfg, whole)
    assert stopped(cfg, halves, KillAt("on_train_batch_end", 8))
    resumed(cfg, halves)
    assert outcome(halves) == outcome(whole)
