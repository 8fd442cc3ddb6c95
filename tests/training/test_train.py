"""One training run: what it leaves behind, which checkpoint it keeps, what it reads when, and how it fails."""

import dataclasses
import json
import logging
import math
from typing import ClassVar

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning import Callback
from safetensors.torch import load_file
from small_runs import KillAt, Points, outcome, resumed, settings, stopped

import runner.training.train
from runner.build import build_task
from runner.datamodules.iris import Iris
from runner.errors import UserError
from runner.tasks.base import Task
from runner.training.checkpoint import load_checkpoint
from runner.training.train import known, train

CLASS_METRICS = {"accuracy", "auroc", "average_precision", "balanced_accuracy", "f1_macro", "loss"}


def metrics_of(folder) -> dict:
    return json.loads((folder / "metrics.json").read_text())


# What it leaves behind.


@pytest.mark.parametrize("net", ["mlp", "textcnn"])
def test_metrics_json(trained, net):
    metrics = metrics_of(trained(net))
    for split in ("val", "test"):
        assert {name.split("/")[1] for name in metrics if name.startswith(f"{split}/")} == CLASS_METRICS
    assert {"train/loss", "train/accuracy", "train/samples_per_second"} <= set(metrics)
    assert "train/lr" not in metrics, "a setting, no result"
    assert not any(name.endswith("_step") for name in metrics)
    assert metrics["run_id"] is None and metrics["duration_seconds"] > 0
    assert metrics["best_checkpoint"] == str(trained(net) / "checkpoints" / "best.ckpt")
    assert metrics["train/samples_per_second"] > 50
    assert all(isinstance(value, float) and math.isfinite(value) for name, value in metrics.items() if "/" in name[:6])


def test_an_estimator_writes_the_same_file(trained):
    metrics = metrics_of(trained("tfidf_linear"))
    for split in ("val", "test"):
        assert {name.split("/")[1] for name in metrics if name.startswith(f"{split}/")} == CLASS_METRICS
    assert metrics["best_checkpoint"] is None


@pytest.mark.parametrize(
    ("net", "files"),
    [
        (
            "mlp",
            "checkpoints/best.ckpt checkpoints/last.ckpt checkpoints/previous.ckpt figures/confusion_matrix.png "
            "figures/learning_curve_accuracy.png figures/learning_curve_loss.png metrics.json model/config.yaml "
            "model/preprocessing.json model/weights.safetensors",
        ),
        (
            "tfidf_linear",
            "figures/confusion_matrix.png metrics.json model/config.yaml model/estimator.pt model/preprocessing.json",
        ),
    ],
)
def test_files_of_a_run(trained, net, files):
    folder = trained(net)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found >= set(files.split())
    assert not [name for name in found if name.endswith(".part")]


def test_the_stored_configuration_is_resolved(trained):
    text = (trained("textcnn") / "model" / "config.yaml").read_text()
    assert "${" not in text
    assert OmegaConf.load(trained("textcnn") / "model" / "config.yaml").model.embed_dim == 8


def test_the_weights_are_those_of_the_best_checkpoint(trained):
    weights = load_file(trained("mlp") / "model" / "weights.safetensors")
    best = load_checkpoint(trained("mlp") / "checkpoints" / "best.ckpt")["state_dict"]
    assert all(torch.equal(best[f"net.{name}"], value) for name, value in weights.items())


def test_what_is_no_number_is_left_out(caplog):
    assert known({"test/r2": math.nan, "test/loss": math.inf, "test/mse": 1.5}) == {"test/mse": 1.5}
    assert "left out, since they are not finite numbers: test/r2, test/loss" in caplog.text


def test_there_is_no_metrics_json_before_the_end(tmp_path, no_figures):
    assert stopped(settings("mlp"), tmp_path, KillAt("on_test_batch_end", 0))
    assert not (tmp_path / "metrics.json").exists()


def test_what_the_record_is_sent(tmp_path, no_figures):
    record = Points()
    train(settings("mlp"), tmp_path, record)
    steps = [step for step, _ in record.points]
    assert steps == sorted(steps) and steps[-1] == 15
    names = {name for _, values in record.points for name in values}
    assert {"train/loss", "train/loss_step", "train/lr", "epoch"} <= names
    assert {"val/accuracy", "best/accuracy", "test/accuracy"} <= names
    assert (tmp_path / "run_id").read_text().strip() == record.id
    windows = [step for step, values in record.points if "train/loss_step" in values]
    assert windows == [2, 4, 5, 7, 9, 10, 12, 14, 15], "every log_every_n_steps, and the rest of each epoch"


def test_training_means_count_every_example_once(tmp_path, no_figures):
    """With a learning rate of zero the mean over an epoch is the loss on the training split."""
    cfg = settings("mlp", "optim.lr=0", "trainer.limit_train_batches=1.0", "data.batch_size=50", "model.dropout=0")
    metrics = train(cfg, tmp_path)
    torch.manual_seed(cfg.seed)
    data = Iris(batch_size=50)
    data.setup()
    task = build_task(cfg)
    task.load_weights(tmp_path / "model")
    inputs, targets = data.train.gather(torch.arange(len(data.train)), torch.Generator())
    assert len(targets) % 50, "the last batch is a smaller one"
    wanted = torch.nn.functional.cross_entropy(task.net(inputs), targets)
    assert metrics["train/loss"] == pytest.approx(wanted.item(), rel=1e-5)


# Which checkpoint is kept.


class Weights(Callback):
    """Remembers the weights of each epoch."""

    def __init__(self):
        self.epochs: list[dict] = []

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        self.epochs.append({name: value.clone() for name, value in pl_module.net.state_dict().items()})


@pytest.fixture
def scored(monkeypatch):
    """Makes a validation metric of each epoch what the test says it is."""

    def scored(metric: str, values: list[float]) -> None:
        report = Task.report

        def other(task, split, found, **besides):
            if split == "val" and task.trainer.state.fn == "fit":
                found = found | {metric: values[task.current_epoch]}
            report(task, split, found, **besides)

        monkeypatch.setattr(Task, "report", other)

    return scored


@pytest.mark.parametrize(("mode", "best"), [("max", 1), ("min", 2)])
def test_validation_picks_the_checkpoint(tmp_path, no_figures, scored, mode, best):
    scored("accuracy", [0.5, 0.9, 0.1])
    watch = Weights()
    train(settings("mlp", "task.monitor=val/accuracy", f"task.mode={mode}"), tmp_path, stop=watch)
    weights = load_file(tmp_path / "model" / "weights.safetensors")
    same = [all(torch.equal(weights[name], value) for name, value in epoch.items()) for epoch in watch.epochs]
    assert same == [epoch == best for epoch in range(3)]
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["epoch"] == 2


def test_training_metrics_are_those_of_the_best_epoch(tmp_path, no_figures, scored):
    scored("accuracy", [0.5, 0.9, 0.1])
    record = Points()
    metrics = train(settings("mlp", "task.monitor=val/accuracy", "task.mode=max"), tmp_path, record)
    losses = [values["train/loss"] for _, values in record.points if "train/loss" in values]
    assert len(set(losses)) == 3 and metrics["train/loss"] == losses[1]
    assert metrics["best_epoch"] == 2


def test_another_metric_may_be_monitored(tmp_path, no_figures, scored):
    scored("f1_macro", [0.9, 0.5, 0.1])
    train(settings("mlp", "task.monitor=val/f1_macro", "task.mode=max"), tmp_path)
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["epoch"] == 0


def test_a_training_metric_may_be_monitored(tmp_path, no_figures):
    train(settings("mlp", "task.monitor=train/loss", "task.mode=min"), tmp_path)
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["epoch"] == 2


def test_without_a_monitored_metric_the_last_epoch_is_kept(tmp_path, no_figures):
    train(settings("gan"), tmp_path)
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["epoch"] == 2


def test_early_stopping(tmp_path, no_figures, scored):
    scored("accuracy", [0.5, 0.9, 0.8, 0.8, 0.8, 0.8, 1.0])
    watch = Weights()
    best = ["task.monitor=val/accuracy", "task.mode=max", "callbacks.early_stopping.patience=2"]
    train(settings("mlp", "trainer.max_epochs=7", *best), tmp_path, stop=watch)
    assert len(watch.epochs) == 4
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["epoch"] == 1


def test_early_stopping_can_be_left_out(tmp_path, no_figures, scored):
    for number, left_out in enumerate(["callbacks.early_stopping.patience=null", "callbacks.early_stopping=null"]):
        watch = Weights()
        cfg = settings("mlp", "trainer.max_epochs=4", "optim.lr=1e-9", left_out)
        train(cfg, tmp_path / str(number), stop=watch)
        assert len(watch.epochs) == 4


# What it reads.


class SpyTest(Iris):
    """Notes when its splits are read."""

    read: ClassVar[list[tuple[str, str]]] = []  # (split, what the trainer was doing)

    def _read(self):
        prepared = super()._read()
        for part in ("train", "val", "test"):
            split = getattr(prepared, part)
            if not hasattr(split, "spied"):
                split.spied, own = True, split.gather

                def gather(index, draw, own=own, part=part):
                    self.read.append((part, self.trainer.state.fn.value))
                    return own(index, draw)

                split.gather = gather
        return prepared


def test_the_test_split_is_read_once_at_the_end(tmp_path, no_figures):
    SpyTest.read.clear()
    cfg = settings("mlp", "trainer.limit_test_batches=1.0", "+data.eval_batch_size=4")
    cfg.data._target_ = f"{__name__}.SpyTest"
    cfg.allow = [__name__]
    train(cfg, tmp_path)
    splits = [split for split, _ in SpyTest.read]
    assert "test" not in splits[: splits.index("test")]
    assert set(splits[splits.index("test") :]) == {"test"}, "nothing comes after the test"
    assert {fn for split, fn in SpyTest.read if split == "test"} == {"test"}
    assert splits.count("test") == 4, "15 rows in batches of 4, once"
    assert {fn for split, fn in SpyTest.read if split == "train"} == {"fit"}


# Seeds.


def test_the_seed_decides(tmp_path, no_figures):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(settings("mlp", f"seed={seed}"), tmp_path / name)
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")
    assert outcome(tmp_path / "a")[0] != outcome(tmp_path / "c")[0]


def test_the_seed_is_not_of_the_split():
    from runner.build import build_data

    rows = []
    for seed in (1, 2):
        data = build_data(settings("mlp", f"seed={seed}"))
        data.setup()
        rows.append(data.test.gather(torch.arange(len(data.test)), torch.Generator())[0])
    assert torch.equal(*rows)


# Failing.


def test_a_diverging_training_says_so(tmp_path, no_figures):
    cfg = settings("mlp", "data=boston_housing", "optim=sgd", "optim.lr=1e30")
    with pytest.raises(UserError, match=r"loss became (nan|inf) at step .*diverged. Lower optim.lr"):
        train(cfg, tmp_path)


def test_a_diverged_state_is_not_saved(tmp_path, no_figures):
    cfg = settings("mlp", "data=boston_housing", "optim=sgd", "optim.lr=1e30", "callbacks.checkpoint.every_n_steps=1")
    with pytest.raises(UserError, match=r"diverged"):
        train(OmegaConf.merge(cfg, {"trainer": {"log_every_n_steps": 50}}), tmp_path)
    path = tmp_path / "checkpoints" / "last.ckpt"
    assert not path.exists() or all(torch.isfinite(one).all() for one in load_checkpoint(path)["state_dict"].values())


@pytest.mark.parametrize("left_out", [[], ["callbacks.checkpoint=null"], ["+trainer.check_val_every_n_epoch=1"]])
def test_a_misspelt_monitor_lists_the_metrics(tmp_path, no_figures, left_out):
    with pytest.raises(UserError, match=r'val/acuracy is not.*Did you mean "val/accuracy"\?.*val/f1_macro'):
        train(settings("mlp", "task.monitor=val/acuracy", *left_out), tmp_path)


def test_an_unknown_mode(tmp_path):
    with pytest.raises(UserError, match=r"task.mode is min or max, received 'maximum'"):
        train(settings("mlp", "task.mode=maximum"), tmp_path)


def test_a_value_that_only_the_constructor_can_judge(tmp_path):
    with pytest.raises(UserError, match=r"model \(runner.models.mlp.MLP\): .*dropout"):
        train(settings("mlp", "model.dropout=1.5"), tmp_path)


def test_without_validation_there_is_no_best(tmp_path, no_figures):
    cfg = settings("mlp", "+trainer.max_steps=7", "callbacks.early_stopping=null")
    metrics = train(OmegaConf.merge(cfg, {"trainer": {"limit_train_batches": 8}}), tmp_path)
    assert metrics["best_checkpoint"] is metrics["best_epoch"] is None
    assert metrics["test/accuracy"] >= 0 and metrics["train/loss"] > 0


def test_the_log_names_the_data(tmp_path, no_figures, caplog):
    with caplog.at_level(logging.INFO):
        train(settings("mlp"), tmp_path)
    assert "Rows: 120 train, 15 val, 15 test" in caplog.text


def test_train_is_short():
    import inspect

    assert len(inspect.getsource(runner.training.train.train).splitlines()) <= 70


# Data without validation or test.


@pytest.mark.parametrize("absent", [("val",), ("test",), ("val", "test")])
def test_splits_that_are_not_there(tmp_path, monkeypatch, caplog, absent):
    own = Iris.prepare
    monkeypatch.setattr(Iris, "prepare", lambda data: dataclasses.replace(own(data), **dict.fromkeys(absent)))
    record, overrides = Points(), ["lr_find=true", "callbacks.checkpoint.every_n_steps=2"]
    with caplog.at_level(logging.INFO):
        found = train(settings("mlp", *overrides), tmp_path, record)
    assert {name.split("/")[0] for name in found if "/" in name} == {"train", "val", "test"} - set(absent)
    best, last = (load_checkpoint(tmp_path / "checkpoints" / f"{name}.ckpt") for name in ("best", "last"))
    if "val" in absent:
        assert "the last checkpoint is kept" in caplog.text and best["global_step"] == last["global_step"]
    assert list((tmp_path / "figures").glob("learning_curve_loss.png"))


def test_without_validation_a_stopped_run_ends_as_a_whole_one(tmp_path, monkeypatch, no_figures):
    own = Iris.prepare
    monkeypatch.setattr(Iris, "prepare", lambda data: dataclasses.replace(own(data), val=None))
    cfg = settings("mlp", "callbacks.checkpoint.every_n_steps=1")
    train(cfg, tmp_path / "whole")
    assert stopped(cfg, tmp_path / "stopped", KillAt("on_train_batch_start", 7))
    resumed(cfg, tmp_path / "stopped")
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "whole")
