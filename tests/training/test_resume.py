"""Resuming a run: nothing is lost, done twice, or different from an uninterrupted run."""

import json
import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from safetensors.torch import load_file
from small_runs import KillAt, Points, SignalAt, outcome, resumed, settings, stopped

from runner.errors import UserError
from runner.training.checkpoint import load_checkpoint
from runner.training.interrupt import OutOfTime
from runner.training.resume import changes, resumed_command
from runner.training.train import train
from runner.verbs.evaluate import on_split

SAVES = "callbacks.checkpoint.every_n_steps={}"
# moment -> (hook, how many times it is let pass); five steps an epoch, three epochs
MOMENTS = {
    "before the first step": ("on_train_batch_start", 0),
    "within an epoch": ("on_train_batch_start", 7),
    "last step of an epoch": ("on_train_batch_start", 9),
    "after the last step of an epoch": ("on_train_batch_end", 4),
    "within a validation": ("on_validation_batch_end", 1),
    "end of a validation": ("on_validation_epoch_end", 1),
    "end of an epoch": ("on_train_epoch_end", 1),
    "start of an epoch": ("on_train_epoch_start", 2),
    "last step of all": ("on_train_batch_end", 14),
    "last validation": ("on_validation_epoch_start", 2),
    "end of the training": ("on_train_end", 0),
    "within the test": ("on_test_batch_end", 0),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run of a model, and the points its record was sent."""
    done = {}

    def run(model: str, *overrides: str) -> tuple:
        if (model, overrides) not in done:
            folder, record = tmp_path_factory.mktemp(model), Points()
            train(settings(model, *overrides), folder, record)
            done[model, overrides] = outcome(folder), record.points, folder
        return done[model, overrides]

    return run


def timeless(points: list) -> list[tuple[int, dict]]:
    """Points of the curve without the speed."""
    return [(step, {name: value for name, value in values.items() if "second" not in name}) for step, values in points]


def net_of(folder: Path) -> dict[str, torch.Tensor]:
    """The weights that a run keeps for use."""
    return load_file(folder / "model" / "weights.safetensors")


def check_exact(whole: tuple, folder: Path, record: Points) -> None:
    (weights, metrics), points, first = whole
    now = outcome(folder)
    assert now[1] == metrics
    assert now[0] == weights, "the weights differ"
    assert timeless(record.points) == timeless(points), "the curve has a gap, a doubled point or another value"
    if (first / "samples.txt").exists():
        assert (folder / "samples.txt").read_text() == (first / "samples.txt").read_text()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_exactly(whole, tmp_path, no_figures, moment):
    overrides = SAVES.format(2)
    cfg = settings("mlp", overrides)
    assert stopped(cfg, tmp_path, KillAt(*MOMENTS[moment]), Points())
    record = Points()
    resumed(cfg, tmp_path, record)
    check_exact(whole("mlp", overrides), tmp_path, record)


@pytest.mark.parametrize("moment", [name for name in MOMENTS if name not in ("end of an epoch", "within the test")])
def test_a_run_that_got_a_signal_goes_on_exactly(whole, tmp_path, no_figures, moment):
    cfg = settings("mlp")
    assert stopped(cfg, tmp_path, SignalAt(*MOMENTS[moment]), Points())
    record = Points()
    resumed(cfg, tmp_path, record)
    check_exact(whole("mlp"), tmp_path, record)


def test_a_signal_costs_no_step(tmp_path, no_figures):
    for number, (hook, call, step) in enumerate(
        [("on_train_batch_start", 7, 8), ("on_train_batch_start", 9, 10), ("on_validation_batch_end", 0, 5)]
    ):
        folder = tmp_path / str(number)
        assert stopped(settings("mlp"), folder, SignalAt(hook, call))
        assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == step


@pytest.mark.parametrize(
    "net",
    [
        "textcnn",
        "textcnn data.bucket=true",
        "char_rnn",
        "word_lm",
        "gan",
        "dqn",
        "attention_seq2seq",
        "attention_seq2seq model.hard=true",
        "gpt model.dropout=0.1",
    ],
)
@pytest.mark.parametrize("moment", ["within an epoch", "last step of an epoch", "within a validation"])
def test_other_models_go_on_exactly(whole, tmp_path, no_figures, net, moment):
    net, *overrides = [*net.split(), SAVES.format(1)]
    cfg = settings(net, *overrides)
    assert stopped(cfg, tmp_path, KillAt(*MOMENTS[moment]), Points())
    record = Points()
    resumed(cfg, tmp_path, record)
    check_exact(whole(net, *overrides), tmp_path, record)


CHOICES = [
    "textcnn callbacks=ema callbacks.ema.decay=0.8",
    "char_rnn callbacks=ema callbacks.ema.decay=0.8",
    "textcnn callbacks=swa callbacks.swa.swa_epoch_start=1",
    "char_rnn callbacks=swa callbacks.swa.swa_epoch_start=1",
    "textcnn data.short_first=2",
    "textcnn unfreeze={embedding:2,convolutions:3}",
    "gpt optim=muon",
]


@pytest.mark.parametrize("net", CHOICES)
def test_choices_of_training_go_on_exactly(whole, tmp_path, no_figures, net):
    """Killed between two steps of the second epoch."""
    net, *overrides = [*net.split(), SAVES.format(1)]
    cfg = settings(net, *overrides)
    assert stopped(cfg, tmp_path, KillAt("on_train_batch_start", 8), Points())
    record = Points()
    resumed(cfg, tmp_path, record)
    check_exact(whole(net, *overrides), tmp_path, record)


@pytest.mark.parametrize("net", [net for net in CHOICES if "callbacks=" in net])
def test_the_average_is_what_is_tested(whole, tmp_path, net):
    net, *overrides = [*net.split(), SAVES.format(1)]
    folder = whole(net, *overrides)[-1]
    best, last = (load_checkpoint(folder / "checkpoints" / f"{name}.ckpt") for name in ("best", "last"))
    if "callbacks=swa" in overrides:
        (state,) = (each for name, each in last["callbacks"].items() if "Stochastic" in name)
        average = state["average_model_state"]
    else:
        average, trained = last["state_dict"], last["current_model_state"]
        assert any(not torch.equal(average[f"net.{name}"], trained[f"net.{name}"]) for name in net_of(folder))
    for name, value in net_of(folder).items():
        assert torch.equal(best["state_dict"][f"net.{name}"], value)
        if best["epoch"] >= last["epoch"]:
            assert torch.equal(average[f"net.{name}"], value)
    assert on_split(folder, "test", {}) == 0, "the metrics of the run are those of the weights that it keeps"


def test_a_run_whose_time_is_over_saves_ends_and_goes_on_exactly(whole, tmp_path, no_figures, capfd):
    cfg = settings("mlp", "callbacks.checkpoint.stop_after_minutes=1e-9")
    steps = []
    for _ in range(20):
        resuming = "this" if (tmp_path / "checkpoints").exists() else None
        try:
            train(OmegaConf.merge(cfg, {"resume": resuming}), tmp_path, Points())
        except OutOfTime as ended:
            assert ended.exit_code == 143 and str(ended) == "callbacks.checkpoint.stop_after_minutes"
            steps.append(load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"])
        else:
            break
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    assert outcome(tmp_path) == whole("mlp")[0]


@pytest.mark.parametrize(
    "overrides",
    [
        ["schedule=cosine", "optim=adamw", "trainer.gradient_clip_val=0.1"],
        ["schedule=plateau", "schedule.patience=0"],
        ["optim=sgd", "+regularise.max_norm={Linear: 0.5}"],
    ],
    ids=["cosine", "plateau", "max_norm"],
)
def test_optimizer_schedule_and_limits_go_on_exactly(whole, tmp_path, no_figures, overrides):
    overrides = [*overrides, SAVES.format(1)]
    cfg = settings("mlp", *overrides)
    assert stopped(cfg, tmp_path, KillAt("on_train_batch_start", 8), Points())
    record = Points()
    resumed(cfg, tmp_path, record)
    check_exact(whole("mlp", *overrides), tmp_path, record)


def test_two_kills_in_a_row(whole, tmp_path, no_figures):
    overrides = SAVES.format(2)
    cfg = settings("mlp", overrides)
    assert stopped(cfg, tmp_path, KillAt("on_train_batch_start", 3))
    assert stopped(OmegaConf.merge(cfg, {"resume": "this"}), tmp_path, KillAt("on_train_batch_start", 8))
    record = Points()
    resumed(cfg, tmp_path, record)
    check_exact(whole("mlp", overrides), tmp_path, record)


def test_a_damaged_checkpoint_costs_steps_but_no_exactness(whole, tmp_path, no_figures, caplog):
    overrides = SAVES.format(2)
    cfg = settings("mlp", overrides)
    assert stopped(cfg, tmp_path, KillAt("on_train_batch_start", 8))
    last = tmp_path / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.unlink()
    last.write_bytes(content[: len(content) // 2])
    record = Points()
    resumed(cfg, tmp_path, record)
    assert "last.ckpt is damaged" in caplog.text
    check_exact(whole("mlp", overrides), tmp_path, record)


def test_a_run_of_two_processes_is_not_resumed_by_one(tmp_path, no_figures):
    """Each process has its own share of the means of the unfinished epoch."""
    cfg = settings("mlp", SAVES.format(2))
    assert stopped(cfg, tmp_path, KillAt("on_train_batch_start", 3))
    last = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint = load_checkpoint(last)
    torch.save(checkpoint | {"training_means": 2 * checkpoint["training_means"]}, last)
    with pytest.raises(UserError, match=r"has trained in 2 processes, received 1.*trainer\.devices"):
        resumed(cfg, tmp_path)


def test_a_run_that_had_stopped_early_does_not_train_on(tmp_path, no_figures):
    cfg = settings("mlp", "trainer.max_epochs=30", "callbacks.early_stopping.patience=1", "optim.lr=1e-9")
    train(cfg, tmp_path / "whole")
    epochs = load_checkpoint(tmp_path / "whole" / "checkpoints" / "last.ckpt")["epoch"]
    assert epochs < 29
    assert stopped(cfg, tmp_path / "killed", KillAt("on_test_batch_end", 0))
    resumed(cfg, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")
    patient = OmegaConf.merge(cfg, {"callbacks": {"early_stopping": {"patience": 4}}, "trainer": {"max_epochs": 8}})
    resumed(patient, tmp_path / "killed")
    assert load_checkpoint(tmp_path / "killed" / "checkpoints" / "last.ckpt")["epoch"] > epochs


def test_a_finished_run_can_be_trained_longer(tmp_path, no_figures):
    train(settings("mlp"), tmp_path / "long")
    short = settings("mlp", "trainer.max_epochs=2")
    train(short, tmp_path / "two_parts")
    resumed(OmegaConf.merge(short, {"trainer": {"max_epochs": 3}}), tmp_path / "two_parts")
    assert outcome(tmp_path / "two_parts") == outcome(tmp_path / "long")


def test_the_speed_after_going_on_is_a_speed(tmp_path, no_figures):
    cfg = settings("mlp", SAVES.format(1))
    assert stopped(cfg, tmp_path, KillAt("on_train_batch_start", 8))
    assert 50 < resumed(cfg, tmp_path)["train/samples_per_second"] < 1e6


@pytest.mark.slow
@pytest.mark.parametrize(("cases", "kills"), [(["mlp", "at a row"], 3), (["two processes"], 1)])
def test_kill_minus_nine(tmp_path, cases, kills):
    """The whole command, killed at file operations or at a batch of a stream; the program says what has to be equal."""
    program = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"
    command = [sys.executable, str(program), "--only", *cases]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{kills} of {kills} runs that were killed equal" in result.stdout
    assert "nothing was killed" not in result.stdout


# Which run is resumed.


@pytest.fixture
def outputs(tmp_path):
    """A database with runs, as MLflow lays it out, and their folders: `add(name, status, overrides, ...)`."""
    place = tmp_path / "outputs"
    place.mkdir()
    with sqlite3.connect(place / "mlflow.db") as database:
        database.execute(
            "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, artifact_uri TEXT, lifecycle_stage TEXT, "
            "start_time INT)"
        )
        for table in ("tags", "params"):
            database.execute(f"CREATE TABLE {table} (key TEXT, value TEXT, run_uuid TEXT)")
    database.close()
    return place


@pytest.fixture
def add(outputs):
    def add(name: str, status: str, overrides: list[str], metrics: bool = False, folder: bool = True) -> str:
        run_id = f"{name:0<32}"
        place = outputs / name
        if folder:
            place.mkdir()
            (place / "run_id").write_text(run_id)
            OmegaConf.save(OmegaConf.create(overrides), place / "overrides.yaml")
            OmegaConf.save(OmegaConf.create({"trainer": {"max_epochs": 10}}), place / "config.yaml")
        if metrics:
            (place / "metrics.json").write_text(json.dumps({"run_id": run_id}))
        with sqlite3.connect(outputs / "mlflow.db") as database:
            count = database.execute("SELECT COUNT(*) FROM runs").fetchone()[0]
            row = (run_id, name, status, "", "active", count)
            database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", row)
            database.execute("INSERT INTO tags VALUES ('runner.folder', ?, ?)", (str(place), run_id))
        database.close()
        return run_id

    return add


def command(*overrides: str, outputs: Path) -> list[str]:
    return resumed_command(list(overrides), outputs)


def test_nothing_to_resume_changes_nothing(outputs):
    assert command("model=mlp", "resume=null", outputs=outputs) == ["model=mlp", "resume=null"]


def test_last_is_the_last_unfinished_run(outputs, add):
    killed = add("killed", "KILLED", ["model=mlp", "seed=2"])
    add("finished", "FINISHED", ["model=textcnn"], metrics=True)
    found = command("resume=last", outputs=outputs)
    assert found == ["model=mlp", "seed=2", f"hydra.run.dir='{outputs / 'killed'}'", f"resume={killed}"]


def test_a_folder_may_have_any_name(outputs, add):
    add("o'brien, 2=1", "KILLED", ["model=mlp"])
    _, typed, _ = command("resume=last", outputs=outputs)
    assert OverridesParser.create().parse_override(typed).value() == str(outputs / "o'brien, 2=1")


@pytest.mark.parametrize("status", ["KILLED", "FAILED", "RUNNING"])
def test_a_run_of_any_unfinished_status_goes_on(outputs, add, status):
    run = add("abcdef", status, ["model=mlp"])
    for which in (run, "abcd", "abcdef", str(outputs / "abcdef")):
        assert command(f"resume={which}", outputs=outputs)[-1] == f"resume={run}"


def test_new_settings_win_over_those_of_the_run(outputs, add):
    add("killed", "KILLED", ["model=mlp", "trainer.max_epochs=5", "resume=before"])
    found = command("resume=last", "trainer.max_epochs=9", outputs=outputs)
    assert found[:2] == ["model=mlp", "trainer.max_epochs=9"] and "resume=before" not in found


def test_a_finished_run_needs_more_epochs(outputs, add):
    run = add("done", "FINISHED", ["model=mlp"], metrics=True)
    with pytest.raises(UserError, match=r"has finished; there is nothing to resume.*10 epochs: trainer.max_epochs=20"):
        command(f"resume={run}", outputs=outputs)
    for which in (run, "last"):
        found = command(f"resume={which}", "trainer.max_epochs=20", outputs=outputs)
        assert "trainer.max_epochs=20" in found and found[-1] == f"resume={run}"
    with pytest.raises(UserError, match="has finished; there is nothing to resume"):
        command("resume=last", "trainer.max_epochs=10", outputs=outputs)


def test_a_run_that_kept_its_best_weights_alone_cannot_be_trained_longer(outputs, add):
    run = add("done", "FINISHED", ["model=mlp"], metrics=True)
    (outputs / "done" / "checkpoints").mkdir()
    (outputs / "done" / "checkpoints" / "best.ckpt").touch()
    with pytest.raises(UserError, match=rf"checkpoint\.keep=best\), so it cannot .*init_from={run}"):
        command(f"resume={run}", "trainer.max_epochs=20", outputs=outputs)
    (outputs / "done" / "checkpoints" / "last.ckpt").touch()
    assert "trainer.max_epochs=20" in command(f"resume={run}", "trainer.max_epochs=20", outputs=outputs)


def test_a_run_killed_while_its_model_was_stored_is_not_finished(outputs, add):
    run = add("nearly", "KILLED", ["model=mlp"], metrics=True)
    assert command("resume=last", outputs=outputs)[-1] == f"resume={run}"
    assert command("model=mlp", "resume=auto", outputs=outputs)[-1] == f"resume={run}"


def test_there_may_be_no_run_to_go_on_with(outputs, add):
    with pytest.raises(UserError, match=r"there is no run in .* yet"):
        command("resume=last", outputs=outputs / "empty")
    add("finished", "FINISHED", [], metrics=True)
    with pytest.raises(UserError, match=r"there is no run that is FAILED or KILLED"):
        command("resume=last", outputs=outputs)
    with pytest.raises(UserError, match=r'there is no run "finishd".*Did you mean "finished"'):
        command("resume=finishd", outputs=outputs)


def test_the_folder_has_to_be_here(outputs, add):
    add("elsewhere", "KILLED", [], folder=False)
    with pytest.raises(UserError, match=r"is not on this machine"):
        command("resume=last", outputs=outputs)


def test_auto_goes_on_only_with_a_run_that_began_with_this_command(outputs, add):
    assert command("model=mlp", "resume=auto", outputs=outputs) == ["model=mlp"]
    run = add("killed", "KILLED", ["seed=3", "model=mlp"])
    assert command("model=mlp", "seed=3", "resume=auto", outputs=outputs)[-1] == f"resume={run}"
    assert command("model=mlp", "seed=4", "resume=auto", outputs=outputs) == ["model=mlp", "seed=4"]


def test_auto_goes_on_with_a_command_that_has_a_key_twice(outputs, add):
    """The last one counts, as in Hydra, and the first one says that the key is new."""
    twice = ["model=mlp", "+trainer.limit_train_batches=6", "trainer.limit_train_batches=9"]
    assert command(*twice, "resume=auto", outputs=outputs) == twice
    run = add("killed", "KILLED", twice)
    assert command(*twice, "resume=auto", outputs=outputs)[:3] == twice
    assert command(*twice, "resume=auto", outputs=outputs)[-1] == f"resume={run}"


@pytest.mark.parametrize("folder", [[], ["hydra.run.dir={outputs}/killed"]])
def test_auto_does_not_take_a_record_that_cannot_be_read_for_an_absent_one(outputs, add, folder):
    add("killed", "KILLED", ["model=mlp"])
    (outputs / "mlflow.db").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="cannot be read as an MLflow database"):
        command("model=mlp", *(one.format(outputs=outputs) for one in folder), "resume=auto", outputs=outputs)


def test_auto_in_a_folder_of_its_own(outputs, add):
    run = add("mine", "KILLED", ["model=mlp"])
    add("later", "KILLED", ["model=textcnn"])
    here = f"hydra.run.dir={outputs / 'mine'}"
    assert command("model=mlp", here, "resume=auto", outputs=outputs)[-1] == f"resume={run}"
    (outputs / "mine" / "run_id").unlink()  # killed while the data were read: only the record knows of the run
    assert command("model=mlp", here, "resume=auto", outputs=outputs)[-1] == f"resume={run}"
    elsewhere = f"hydra.run.dir={outputs / 'new'}"
    assert command("model=mlp", elsewhere, "resume=auto", outputs=outputs) == ["model=mlp", elsewhere]


# What may change.


def test_trainer_callbacks_and_tracking_may_change():
    before = settings("mlp")
    now = OmegaConf.merge(before, {"trainer": {"max_epochs": 9}, "callbacks": {"early_stopping": {"patience": 3}}})
    now = OmegaConf.merge(now, {"tracking": {"name": "longer"}, "resume": "last"})
    assert changes(before, before) == {}
    assert changes(before, now) == {
        "trainer.max_epochs": (3, 9),
        "callbacks.early_stopping.patience": (before.callbacks.early_stopping.patience, 3),
        "tracking.name": (None, "longer"),
    }


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (("model.hidden_dims=[9]",), r"model.hidden_dims: \[8\] -> \[9\]"),
        (("optim.lr=0.5",), "optim.lr: 0.001 -> 0.5"),
        (("seed=9",), "seed: 1 -> 9"),
        (("data=xor",), "data._target_: .*Iris -> .*Xor"),
    ],
)
def test_model_and_data_may_not_change(other, expected):
    with pytest.raises(UserError, match=f"can change trainer, callbacks and tracking only; received .*{expected}"):
        changes(settings("mlp"), settings("mlp", *other))


def test_a_resumed_run_says_what_differs(tmp_path, caplog):
    from runner.training.job import note_changes

    cfg = settings("mlp")
    OmegaConf.save(cfg, tmp_path / "config.yaml")
    (tmp_path / "metrics.json").write_text("{}")
    with caplog.at_level(logging.WARNING):
        note_changes(tmp_path, OmegaConf.merge(cfg, {"trainer": {"max_epochs": 7}}))
    assert "resumed with trainer.max_epochs: 3 -> 7" in caplog.text
    assert not (tmp_path / "metrics.json").exists(), "it is no longer finished"
