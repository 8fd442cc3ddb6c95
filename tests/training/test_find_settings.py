"""Trials before a training: they find what they should and leave no trace; one batch learned by heart; a profile."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import Points, composed, settings

from runner.build import build_data, build_task
from runner.errors import UserError
from runner.training import find_settings
from runner.training.checkpoint import random_state
from runner.training.train import train

IRIS = ("data=iris", "trainer.limit_train_batches=null")


def prepared(*overrides: str):
    cfg = settings("mlp", *overrides)
    data = build_data(cfg)
    data.setup()
    torch.manual_seed(0)
    task = build_task(cfg)
    task.connect(data)
    return cfg, task, data


def plain(*overrides: str):
    return copy.deepcopy(
        composed(("model=mlp", "data=iris", "model.hidden_dims=[8]", "trainer.accelerator=cpu", *overrides))
    )


def curve(lowest: float) -> tuple[np.ndarray, list[float]]:
    """Flat, then a fall around a hundredth of `lowest`, then a rise."""
    rates = np.geomspace(1e-6, 10, 100)
    distance = np.log10(rates / lowest)
    return rates, list(1 - 0.5 / (1 + np.exp(-6 * (distance + 2))) + np.maximum(0, distance) ** 2)


def test_the_steepest_descent_is_found() -> None:
    rates, losses = curve(0.5)
    assert find_settings.steepest(rates, losses) == pytest.approx(0.005, rel=0.2)


def test_the_brink_is_not_taken_for_a_descent() -> None:
    """A noisy flat curve whose steepest place is next to its lowest one: at most a tenth of that rate."""
    rates = np.geomspace(1e-6, 10, 100)
    losses = [0.7 + 0.001 * (-1) ** number for number in range(60)] + [0.65, 0.9, 2.0]
    assert find_settings.steepest(rates, losses) == pytest.approx(rates[60] / 10, rel=0.05)


def test_a_loss_that_never_falls_gives_no_rate() -> None:
    rates = np.geomspace(1e-6, 10, 100)
    assert find_settings.steepest(rates, list(np.linspace(1, 2, 40))) is None
    assert find_settings.steepest(rates, []) is None


def test_the_search_leaves_no_trace(tmp_path: Path) -> None:
    cfg, task, data = prepared(*IRIS, "lr_find=true", "find_batch_size=true")
    weights = {name: value.clone() for name, value in task.state_dict().items()}
    before = random_state()
    find_settings.find_settings(cfg, tmp_path, task, data)
    after = random_state()
    assert torch.equal(before["torch"], after["torch"]) and before["python"] == after["python"]
    assert all(torch.equal(value, task.state_dict()[name]) for name, value in weights.items())
    assert task._trainer is None
    found = json.loads((tmp_path / "found.json").read_text())
    assert cfg.optim.lr == found["optim.lr"] != 0.001 and 1e-5 < cfg.optim.lr <= 1
    assert data.batch_size == cfg.data.batch_size == found["data.batch_size"]
    optimizer = task.optimizer(task.net.parameters())
    assert optimizer.param_groups[0]["lr"] == found["optim.lr"] and optimizer.state == {}
    assert (tmp_path / "figures" / "lr_find.png").read_bytes().startswith(b"\x89PNG")


def test_the_training_is_that_with_the_value_typed(tmp_path: Path, no_figures) -> None:
    searched = train(settings("mlp", *IRIS, "lr_find=true"), tmp_path / "searched")
    rate = json.loads((tmp_path / "searched" / "found.json").read_text())["optim.lr"]
    typed = train(settings("mlp", *IRIS, f"optim.lr={rate}"), tmp_path / "typed")
    assert searched["test/loss"] == typed["test/loss"] and searched["train/loss"] == typed["train/loss"]


def test_a_resumed_run_does_not_search_again(tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text('{"optim.lr": 0.123}')
    cfg, task, data = prepared(*IRIS, "lr_find=true")
    find_settings.find_settings(cfg, tmp_path, task, data)
    assert cfg.optim.lr == 0.123 and not (tmp_path / "figures").exists()


def test_what_was_found_is_recorded(tmp_path: Path, monkeypatch) -> None:
    tags = {}
    record = Points()
    record.tags = tags.update
    monkeypatch.setattr(find_settings, "best_rate", lambda *_: 0.05)
    monkeypatch.setattr(find_settings, "largest_batch", lambda *_: 64)
    cfg, task, data = prepared(*IRIS, "data.batch_size=16", "lr_find=true", "find_batch_size=true")
    find_settings.find_settings(cfg, tmp_path, task, data, record)
    assert json.loads(tags["runner.changed_params"]) == {"data.batch_size": [16, 64], "optim.lr": [0.001, 0.05]}


def test_the_largest_batch_keeps_ten_steps_an_epoch() -> None:
    cfg, task, data = prepared("data=iris", "data.batch_size=3")
    assert find_settings.largest_batch(cfg, task, data) == 12 and data.batch_size == 3  # of 120 rows


def test_the_largest_batch_is_the_last_one_that_fits(monkeypatch) -> None:
    cfg, task, data = prepared("data=iris", "data.batch_size=2")
    monkeypatch.setattr(find_settings, "STEPS_AN_EPOCH", 1)
    tried = []

    def trial(cfg, task, data, steps, callbacks=()):
        tried.append(data.batch_size)
        if data.batch_size > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(find_settings, "trial", trial)
    limit = 20
    assert find_settings.largest_batch(cfg, task, data) == 16 and tried == [2, 4, 8, 16, 32]
    limit, data.batch_size = 5, 32
    assert find_settings.largest_batch(cfg, task, data) == 4
    limit = 0
    with pytest.raises(UserError, match="not even one row"):
        find_settings.largest_batch(cfg, task, data)


def test_the_memory_of_the_machine_is_a_limit(monkeypatch) -> None:
    cfg, task, data = prepared("data=iris", "data.batch_size=2")
    monkeypatch.setattr(find_settings, "STEPS_AN_EPOCH", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(find_settings, "trial", lambda *_, **__: None)
    monkeypatch.setattr(find_settings, "memory_left", lambda: 1000)
    monkeypatch.setattr(find_settings, "peak_memory", lambda: 2**60 if data.batch_size == 8 else 0)
    assert find_settings.largest_batch(cfg, task, data) == 8


def test_objectives_without_one_loss_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one loss and one optimizer"):
        train(settings("gan", "lr_find=true"), tmp_path)
    with pytest.raises(UserError, match="TfidfLinear is not trained in steps"):
        train(settings("tfidf_linear", "lr_find=true"), tmp_path)


def test_one_batch_is_learned_by_heart(tmp_path: Path, no_figures) -> None:
    """The same batch in every epoch, no early stopping: the loss goes towards 0."""
    metrics = train(plain("trainer=overfit", "optim.lr=0.1", "trainer.max_epochs=40"), tmp_path)
    assert metrics["train/loss"] < 0.05 and metrics["train/accuracy"] == 1.0


@pytest.mark.parametrize("wanted", ["simple", "{_target_:pytorch_lightning.profilers.SimpleProfiler}"])
def test_a_profile_lies_in_the_run_folder(tmp_path: Path, no_figures, wanted: str) -> None:
    train(plain("trainer=profile", f"trainer.profiler={wanted}"), tmp_path)
    assert "run_training_batch" in (tmp_path / "fit-profile.txt").read_text()


def test_an_unknown_profiler_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='Did you mean "simple"'):
        train(plain("trainer=profile", "trainer.profiler=simpel"), tmp_path)
