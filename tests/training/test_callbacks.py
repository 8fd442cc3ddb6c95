"""The bar of an epoch, why a training ended, and Lightning's own callbacks: which can be used, which resume exactly."""

import logging
import math
import re

import pytest
import pytorch_lightning.callbacks
import torch
from omegaconf import OmegaConf
from pytorch_lightning import Callback
from small_runs import KillAt, Points, outcome, resumed, settings, stopped

from runner.errors import UserError
from runner.files.progress import foot
from runner.training import callbacks
from runner.training.checkpoint import load_checkpoint
from runner.training.train import train

BASES = {"BaseFinetuning", "BasePredictionWriter", "Callback", "Checkpoint"}  # for callbacks of one's own
CAN = {
    "DeviceStatsMonitor": "",
    "EMAWeightAveraging": "decay: 0.5",
    "EarlyStopping": "monitor: val/loss",
    "GradientAccumulationScheduler": "scheduling: {1: 2}",
    "LambdaCallback": "on_train_epoch_start: {_target_: own_hooks.nothing, _partial_: true}",
    "LearningRateMonitor": "",
    "ModelCheckpoint": "",
    "ModelPruning": "pruning_fn: l1_unstructured, amount: 0.3",
    "ModelSummary": "",
    "RichModelSummary": "",
    "SpikeDetection": "",
    "StochasticWeightAveraging": "swa_lrs: 0.05, swa_epoch_start: 1",
    "ThroughputMonitor": "batch_size_fn: {_target_: own_hooks.rows, _partial_: true}, window_size: 3",
    "Timer": "duration: '00:01:00:00'",
    "WeightAveraging": "",
}
CANNOT = {
    "BackboneFinetuning": "type freeze=",
    "BatchSizeFinder": "type find_batch_size=true",
    "LearningRateFinder": "type lr_find=true",
    "OnExceptionCheckpoint": "resume=last continues",
    "ProgressBar": "shows its own progress",
    "RichProgressBar": "shows its own progress",
    "TQDMProgressBar": "shows its own progress",
}
REQUIRED = {"OnExceptionCheckpoint": "dirpath: nowhere"}
FORGETFUL = {one.__name__ for one in callbacks.FORGETFUL}
OWN_HOOKS = "def nothing(*arguments):\n    pass\n\n\ndef rows(batch):\n    return len(batch[0])\n"


class OnlyOne(Points):
    """A record, which like MLflow's cannot be copied."""

    def __deepcopy__(self, memo: dict) -> None:
        raise TypeError("the record of the run was copied")


def with_callback(name: str, arguments: str, *overrides: str):
    node = f"{{_target_: pytorch_lightning.callbacks.{name}{arguments and ', '}{arguments}}}"
    return settings("mlp", f"+callbacks.theirs={node}", "allow=[own_hooks]", *overrides)


@pytest.fixture(autouse=True)
def own_hooks(tmp_path_factory, monkeypatch, no_figures):
    folder = tmp_path_factory.mktemp("hooks")
    (folder / "own_hooks.py").write_text(OWN_HOOKS, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)


def test_every_callback_of_lightning_is_named_here():
    assert set(CAN) | set(CANNOT) | BASES == set(pytorch_lightning.callbacks.__all__)


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.filterwarnings("ignore:When using the `ThroughputMonitor`")  # about operations a second
@pytest.mark.parametrize("name", CAN)
def test_a_run_has_lightnings_callback_and_resumes_exactly(tmp_path, name):
    cfg = with_callback(name, CAN[name], "callbacks.checkpoint.every_n_steps=2")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    train(cfg, whole, OnlyOne())
    assert stopped(cfg, killed, KillAt("on_train_batch_start", 8), OnlyOne())
    if name in FORGETFUL:
        with pytest.raises(UserError, match=rf"callbacks\.theirs: a run cannot be resumed exactly with {name}"):
            resumed(cfg, killed)
    else:
        resumed(cfg, killed, OnlyOne())
        (weights, metrics), (weights_of_whole, metrics_of_whole) = outcome(killed), outcome(whole)
        assert weights == weights_of_whole
        measured = {key for key in metrics if re.match("train/(time|batches|samples|device)", key)}  # of the throughput
        assert metrics == metrics_of_whole | {key: metrics[key] for key in measured}


@pytest.mark.parametrize("name", CANNOT)
def test_what_a_run_does_in_its_own_way_is_said(tmp_path, name):
    with pytest.raises(UserError, match=rf"callbacks\.theirs: {name} cannot be used here; .*{CANNOT[name]}"):
        train(with_callback(name, REQUIRED.get(name, "")), tmp_path)


def test_what_a_callback_says_about_the_settings_is_a_mistake_of_the_user(tmp_path):
    cfg = settings(
        "gan", "+callbacks.theirs={_target_: pytorch_lightning.callbacks.StochasticWeightAveraging, swa_lrs: 0.1}"
    )
    with pytest.raises(UserError, match="SWA currently works with 1 `optimizer`"):
        train(cfg, tmp_path)


@pytest.mark.parametrize("name", ["EMAWeightAveraging", "WeightAveraging"])
def test_the_average_is_what_is_validated_and_kept(tmp_path, name):
    plain, averaged = tmp_path / "plain", tmp_path / "averaged"
    train(settings("mlp"), plain)
    train(with_callback(name, CAN[name]), averaged)
    ours, theirs = (load_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (plain, averaged))
    for key, weights in ours["state_dict"].items():
        torch.testing.assert_close(theirs["current_model_state"][key], weights, msg="training itself is unchanged")
    assert outcome(averaged)[0] != outcome(plain)[0]
    assert not torch.equal(theirs["state_dict"]["net.layers.0.weight"], ours["state_dict"]["net.layers.0.weight"])


@pytest.mark.parametrize("moment", [None, ("on_train_end", 0)], ids=["whole", "killed before the average is written"])
def test_the_stochastic_average_is_the_result(tmp_path, moment):
    name = "StochasticWeightAveraging"
    cfg = with_callback(name, CAN[name])
    if moment:
        assert stopped(cfg, tmp_path, KillAt(*moment))
        resumed(cfg, tmp_path)
    else:
        train(cfg, tmp_path)
    checkpoint = load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    average = load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["callbacks"][name]["average_model_state"]
    assert all(torch.equal(checkpoint["state_dict"][key], value) for key, value in average.items())
    assert all(math.isfinite(value) for value in outcome(tmp_path)[1].values() if isinstance(value, float))


def test_settings_are_plain_lists(tmp_path):
    nodes = OmegaConf.create(
        {"swa": {"_target_": "pytorch_lightning.callbacks.StochasticWeightAveraging", "swa_lrs": [0.1]}, "none": None}
    )
    assert [type(one).__name__ for one in callbacks.build_callbacks(nodes, resuming=False)] == [
        "StochasticWeightAveraging"
    ]


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


def test_a_compiled_net_learns_the_same(tmp_path, no_figures) -> None:
    """The backend `eager` runs the traced operations as they are, so not a bit may differ."""
    torch._dynamo.reset()
    counted = torch._dynamo.utils.counters["frames"]
    counted.clear()
    for name, choice in (("plain", "default"), ("compiled", "compiled")):
        cfg = settings("gpt", f"callbacks={choice}")
        if choice == "compiled":
            cfg.callbacks.compile.backend = "eager"
        train(cfg, tmp_path / name)
        assert (counted["ok"] > 0) == (choice == "compiled")
    assert outcome(tmp_path / "plain") == outcome(tmp_path / "compiled")
