"""What happens around the steps: the bar of an epoch, and why a training ended."""

import logging

import pytest
from pytorch_lightning import Callback
from small_runs import settings

from runner.files.progress import foot
from runner.training.train import train


class Watch(Callback):
    """Keeps what the bar shows after each step."""

    def __init__(self):
        self.seen: list[str] = []

    def on_train_batch_end(self, *args, **kwargs) -> None:
        self.seen.append(foot.wait.line(foot.wait.since))


def test_the_bar_shows_the_steps_and_the_loss(tmp_path, no_figures):
    watch = Watch()
    train(settings("mlp", "trainer.max_epochs=2"), tmp_path, stop=watch)
    assert "] 1/5" in watch.seen[0] and "loss" not in watch.seen[0]  # a point of the curve every two steps
    assert all("loss 0." in line or "loss 1." in line for line in watch.seen[3:])
    assert watch.seen[-1].startswith("epoch 2/2 [====================] 5/5, loss ")


@pytest.mark.parametrize("ended_by, said", [
    (["callbacks.early_stopping.patience=1", "optim.lr=1e-30"],
     "stopped early after epoch 2. Monitored metric val/loss did not improve in the last 1 records."),
    (["+trainer.max_time={milliseconds: 1}"], "trainer.max_time is over"),
])  # fmt: skip
def test_what_ended_the_training_is_said(tmp_path, caplog, no_figures, ended_by, said):
    with caplog.at_level(logging.INFO):
        train(settings("mlp", *ended_by), tmp_path)
    assert sum(said in text for text in caplog.messages) == 1
