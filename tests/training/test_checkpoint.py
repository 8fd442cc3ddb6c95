"""Checkpoints: complete, atomic, readable without running code, and one is always intact."""

import errno
import io
import logging
import math
import os
import random
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback
from recorded_runs import bundle
from small_runs import KillAt, Killed, outcome, resumed, settings, stopped

from runner.errors import UserError, storage_error
from runner.files import atomic
from runner.training import checkpoint
from runner.training.checkpoint import (
    AtomicWriter,
    Checkpoint,
    load_checkpoint,
    newest_checkpoint,
    random_state,
    set_random_state,
    tidy,
)
from runner.training.train import train


def state(number: float, best: bool = False) -> dict:
    nested = [{"a": (1, torch.tensor(2.0))}, None, "text"]
    return {"state_dict": {"weight": torch.full((1000,), number)}, "best": best, "nested": nested}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "checkpoints"


@pytest.fixture
def save(folder):
    def save(number: float, best: bool = False, writer: AtomicWriter | None = None) -> None:
        writer = writer or AtomicWriter()
        writer.save_checkpoint(state(number, best), folder / "last.ckpt", {"best": best})
        writer.wait()

    return save


class OnFullDisk(io.FileIO):
    """A file on a disk that is full after `free` bytes."""

    free: float = 0

    def write(self, content) -> int:
        self.free -= len(content)
        if self.free < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content)


@pytest.fixture
def full_disk(monkeypatch):
    """Let checkpoints take so many bytes each, except for the first `after` ones."""

    def fill(free: float, after: int = 0) -> None:
        left = iter([math.inf] * after)

        def opened(path, mode):
            file = OnFullDisk(path, mode.replace("b", ""))
            file.free = next(left, free)
            return file

        monkeypatch.setattr(atomic, "open", opened, raising=False)

    return fill


def number_in(path) -> float:
    return float(load_checkpoint(path)["state_dict"]["weight"][0])


# Writing.


def test_the_last_two_and_the_best_are_kept(folder, save):
    for number, best in ((1.0, True), (2.0, True), (3.0, False), (4.0, False)):
        save(number, best)
    assert number_in(folder / "last.ckpt") == 4
    assert number_in(folder / "previous.ckpt") == 3
    assert number_in(folder / "best.ckpt") == 2
    assert sorted(path.name for path in folder.iterdir()) == ["best.ckpt", "last.ckpt", "previous.ckpt"]


def test_containers_survive(folder, save):
    save(1.0)
    found = load_checkpoint(folder / "last.ckpt")
    assert found["nested"][0]["a"] == (1, torch.tensor(2.0)) and found["nested"][1:] == [None, "text"]


def test_what_is_written_is_what_was_there_when_save_returned(folder):
    content, writer = state(1.0), AtomicWriter()
    writer.save_checkpoint(content, folder / "last.ckpt")
    content["state_dict"]["weight"] += 1  # the next training step
    writer.wait()
    assert number_in(folder / "last.ckpt") == 1


@pytest.mark.parametrize(("call", "newest", "best"), [(0, 2, 2), (1, 2, 2), (2, 3, 2)])
def test_a_kill_at_any_renaming_leaves_a_complete_checkpoint(folder, save, monkeypatch, call, newest, best):
    """os.replace gives the three names: previous, last, best. What is not done before the kill is never done."""
    save(1.0, best=True)
    save(2.0, best=True)
    own, left = os.replace, [call]

    def replace(source, target):
        if not left[0]:
            raise Killed
        left[0] -= 1
        own(source, target)

    monkeypatch.setattr(os, "replace", replace)
    writer = AtomicWriter()
    with pytest.raises(Killed):
        writer.write(state(3.0, best=True), folder / "last.ckpt")
    monkeypatch.undo()
    assert number_in(newest_checkpoint(folder)) == newest
    assert number_in(folder / "best.ckpt") == best
    save(4.0, best=True)  # files left by the kill do no harm
    assert sorted(path.name for path in folder.iterdir()) == ["best.ckpt", "last.ckpt", "previous.ckpt"]


def test_best_weights_that_a_kill_prevented_are_written_on_resuming(tmp_path, no_figures, monkeypatch):
    """Killed after the last checkpoint of all got its name, before its weights were written as the best."""
    cfg = settings("gan")  # the last epoch is always the best one
    train(cfg, tmp_path / "whole")
    own = checkpoint.save_best

    def killed(content, folder):
        if content["epoch"] == 2:
            raise Killed
        own(content, folder)

    def in_this_thread(writer, content, path, storage_options):
        writer.write(content | storage_options, path)

    monkeypatch.setattr(checkpoint, "save_best", killed)
    monkeypatch.setattr(AtomicWriter, "save_checkpoint", in_this_thread)
    assert stopped(cfg, tmp_path / "killed", Callback())
    assert load_checkpoint(tmp_path / "killed" / "checkpoints" / "best.ckpt")["epoch"] == 1
    monkeypatch.undo()
    monkeypatch.setattr("runner.training.train.save_figures", lambda *arguments: None)
    resumed(cfg, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_a_half_written_file_is_never_taken_for_a_checkpoint(folder, save):
    save(1.0)
    (folder / "last.part").write_bytes(b"half of")
    assert number_in(newest_checkpoint(folder)) == 1


# Reading.


def test_a_damaged_last_checkpoint_falls_back_to_the_previous_one(folder, save, caplog):
    save(1.0)
    save(2.0)
    last = folder / "last.ckpt"
    data = last.read_bytes()
    for damaged in (data[: len(data) // 2], b"", data[:100] + b"\0" * 200 + data[300:-50] + b"x" * 50):
        last.unlink()
        last.write_bytes(damaged)
        caplog.clear()
        assert newest_checkpoint(folder) == folder / "previous.ckpt"
        assert "last.ckpt is damaged" in caplog.text


def test_without_any_checkpoint_there_is_none(folder):
    assert newest_checkpoint(folder) is None


def test_with_damaged_checkpoints_only_the_run_does_not_quietly_begin_anew(folder, save, caplog):
    save(1.0)
    last = folder / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(UserError, match="train again, with the same command without resume="):
        newest_checkpoint(folder)
    assert "last.ckpt is damaged" in caplog.text


def test_a_checkpoint_that_runs_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    torch.save({"best": False, "trap": Trap()}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=r"could run code"):
        load_checkpoint(tmp_path / "last.ckpt")
    assert not (tmp_path / "trapped").exists()


# Errors.


@pytest.mark.parametrize("free", [0, 100, 1000, 4000, 4990])
def test_a_full_disk_is_explained_and_the_earlier_checkpoint_is_intact(folder, save, full_disk, free):
    """Torch says it in two wordings of its own, and both hide the word of the system; where it comes decides."""
    save(1.0)
    before = (folder / "last.ckpt").read_bytes()
    full_disk(free)
    with pytest.raises((OSError, RuntimeError)) as raised:
        save(2.0)
    told = str(storage_error(raised.value, folder, "type: runner resume=1"))
    assert re.fullmatch(rf"the disk of {folder} is full, [\d.]+ MB are free\. Make space, then type: .*=1", told)
    assert (folder / "last.ckpt").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["last.ckpt"]


def test_a_full_disk_ends_the_training_and_it_can_be_resumed(tmp_path, full_disk, no_figures):
    cfg = settings("mlp")
    whole = train(cfg, tmp_path / "whole")
    full_disk(1000, after=1)
    with pytest.raises((OSError, RuntimeError)) as raised:
        train(cfg, tmp_path / "full")
    assert "is full" in str(storage_error(raised.value, tmp_path / "full", ""))
    assert not (tmp_path / "full" / "metrics.json").exists()
    assert load_checkpoint(tmp_path / "full" / "checkpoints" / "last.ckpt")["epoch"] == 0
    full_disk(math.inf)
    assert resumed(cfg, tmp_path / "full")["test/loss"] == whole["test/loss"]


def test_a_deleted_run_folder_is_not_made_again(tmp_path, no_figures):
    class Delete(Callback):
        def on_train_epoch_start(self, trainer, *arguments) -> None:
            if trainer.current_epoch == 1:
                trainer.strategy.checkpoint_io.wait()
                shutil.rmtree(tmp_path / "run")

    with pytest.raises(FileNotFoundError) as raised:
        train(settings("mlp"), tmp_path / "run", stop=Delete())
    told = str(storage_error(raised.value, tmp_path / "run", "type the command again"))
    assert told == f"the folder {tmp_path / 'run'} was deleted. To begin anew, type the command again"
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    writer = AtomicWriter()
    writer.save_checkpoint(state(1.0), tmp_path / "file" / "checkpoints" / "last.ckpt")
    with pytest.raises(NotADirectoryError):
        writer.wait()


def test_an_object_that_cannot_be_stored_is_not_passed_over(folder):
    writer = AtomicWriter()
    writer.save_checkpoint({"function": lambda: None}, folder / "last.ckpt")
    with pytest.raises(Exception, match=r"lambda"):
        writer.wait()
    assert list(folder.iterdir()) == []


# Random numbers.


def draws() -> list[float]:
    return [random.random(), random.gauss(0, 1), *np.random.rand(2), np.random.randn(), *torch.rand(2).tolist()]


def test_random_state_round_trip(tmp_path):
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    random.gauss(0, 1)  # leaves a second number waiting
    np.random.randn()
    torch.save(random_state(), tmp_path / "state.pt")
    first = draws()
    assert draws() != first
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draws() == first


# What a training leaves behind.


def test_all_files_of_a_run_load_without_code(trained):
    for name in ("last", "previous", "best"):
        found = torch.load(trained("mlp") / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert "hidden_dims" in found["about"]["config"], "a checkpoint says what it belongs to"
        to_resume = {"optimizer_states", "random_states", "train_loader", "history", "training_means", "callbacks"}
        assert to_resume & found.keys() == (set() if name == "best" else to_resume)
        assert {"state_dict", "epoch", "global_step"} <= found.keys()


@pytest.mark.parametrize(("keep", "left"), [("resume", ["best.ckpt", "last.ckpt"]), ("best", ["best.ckpt"])])
def test_what_a_finished_run_keeps(folder, save, caplog, keep, left):
    for number in (1.0, 2.0):
        save(number, best=True)
    with caplog.at_level(logging.INFO):
        tidy(folder, keep)
    assert sorted(path.name for path in folder.iterdir()) == left
    assert [name in caplog.text for name in ("last.ckpt (0.0 MB, to train it longer)", "best.ckpt (0.0 MB")] == [
        keep == "resume",
        True,
    ]


def test_a_run_keeps_what_it_was_told_and_its_record_has_the_weights_once(recorded):
    for name, kept in (("iris", {"best.ckpt", "last.ckpt"}), ("boston", {"best.ckpt"})):
        run = bundle(recorded, name).parent
        assert {path.name for path in (run / "checkpoints").iterdir()} == kept
    assert list((recorded[0] / "outputs" / "mlartifacts").rglob("weights.safetensors"))
    assert not list((recorded[0] / "outputs" / "mlartifacts").rglob("*.ckpt"))


def test_where_nothing_was_saved_nothing_is_said_to_be_kept(folder, caplog):
    with caplog.at_level(logging.INFO):
        tidy(folder, "best")
    assert caplog.text == ""


def test_a_callback_may_keep_a_state_of_its_own(tmp_path, no_figures):
    class Counter(Callback):
        steps = 0

        def on_train_batch_end(self, *arguments) -> None:
            self.steps += 1

        def state_dict(self) -> dict:
            return {"steps": self.steps}

    train(settings("mlp"), tmp_path, stop=Counter())
    states = load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["callbacks"]
    assert {"steps": 15} in states.values()


# When it saves.


def fake_trainer(monkeypatch, folder, can_save: bool = True) -> SimpleNamespace:
    monkeypatch.setattr(checkpoint, "can_save", lambda trainer: can_save)
    trainer = SimpleNamespace(global_step=0, current_epoch=0, max_epochs=9, callback_metrics={})
    trainer.default_root_dir = folder
    trainer.state = SimpleNamespace(fn="fit")
    trainer.strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    trainer.saved = []
    trainer.save_checkpoint = lambda path, storage_options: trainer.saved.append(trainer.global_step)
    return trainer


@pytest.mark.parametrize(("a_batch", "saved"), [(1, [4, 8, 12]), (2, [4, 8, 12]), (3, [6, 12])])
def test_it_saves_every_so_many_steps(monkeypatch, tmp_path, a_batch, saved):
    """A gan makes several optimizer steps a batch, gradient accumulation less than one."""
    trainer, callback = fake_trainer(monkeypatch, tmp_path), Checkpoint(every_n_steps=4)
    while trainer.global_step < 12:
        trainer.global_step += a_batch
        callback.on_train_batch_end(trainer, None, None, None, 0)
        callback.on_train_batch_end(trainer, None, None, None, 0)  # another batch before the next step
    assert trainer.saved == saved


def test_it_saves_every_so_many_minutes(monkeypatch, tmp_path):
    now = [1000.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    trainer, callback = fake_trainer(monkeypatch, tmp_path), Checkpoint(every_n_minutes=2)
    for seconds in range(0, 301, 30):
        now[0], trainer.global_step = 1000.0 + seconds, seconds
        callback.on_train_batch_end(trainer, None, None, None, 0)
    assert trainer.saved == [120, 240]


def test_it_does_not_save_between_a_step_and_a_validation(monkeypatch, tmp_path):
    trainer, callback = fake_trainer(monkeypatch, tmp_path, can_save=False), Checkpoint(every_n_steps=1)
    trainer.global_step = 5
    callback.on_train_batch_end(trainer, None, None, None, 0)
    assert trainer.saved == []


@pytest.mark.parametrize(
    ("mode", "scores", "best"),
    [
        ("max", [0.5, 0.7, 0.6, 0.7, 0.8], [0, 1, 4]),
        ("min", [0.5, 0.7, 0.4, 0.4, 0.3], [0, 2, 4]),
        ("min", [math.nan, 0.7, math.nan, 0.9], [0, 1]),
        ("max", [None, 0.5, None, 0.6], [1, 3]),
    ],
)
def test_the_best_epoch(monkeypatch, tmp_path, mode, scores, best):
    """None means an epoch without a validation."""
    trainer, callback = fake_trainer(monkeypatch, tmp_path), Checkpoint("val/x", mode)
    found = []
    for trainer.current_epoch, score in enumerate(scores):
        if score is not None:
            trainer.callback_metrics["val/x"] = torch.tensor(score)
            callback.on_validation_end(trainer, None)
        if callback.is_best(trainer):
            found.append(trainer.current_epoch)
    assert found == best and callback.best_epoch == best[-1]


def test_without_a_monitored_metric_the_last_epoch_is_the_best(monkeypatch, tmp_path):
    trainer, callback = fake_trainer(monkeypatch, tmp_path), Checkpoint(None)
    assert [callback.is_best(trainer) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(
    "overrides",
    [
        ["+trainer.val_check_interval=0.4"],
        ["+trainer.check_val_every_n_epoch=2"],
        ["+trainer.accumulate_grad_batches=2"],
        ["+trainer.max_steps=7"],
    ],
)
def test_runs_that_validate_and_step_in_other_rhythms_are_exact_too(tmp_path, no_figures, overrides):
    cfg = settings("mlp", "callbacks.checkpoint.every_n_steps=1", *overrides)
    whole = train(cfg, tmp_path / "whole")
    for number, stop in enumerate([KillAt("on_train_batch_start", 3), KillAt("on_train_batch_start", 6)]):
        folder = tmp_path / str(number)
        assert stopped(cfg, folder, stop)
        again = resumed(cfg, folder)
        same = {name for name in whole if name.startswith(("val/", "test/", "train/loss"))}
        assert {name: again[name] for name in same} == {name: whole[name] for name in same}


def test_the_log_tells_of_each_epoch(tmp_path, caplog, no_figures):
    with caplog.at_level(logging.INFO):
        train(settings("mlp", "trainer.max_epochs=2"), tmp_path)
    first, second = (text for text in caplog.messages if text.startswith("epoch "))
    assert re.fullmatch(r"epoch 1/2: loss \d\.\d{3} val \d\.\d{3}, accuracy \d\.\d{3} val \d\.\d{3} best", first)
    assert second.startswith("epoch 2/2: ")
