"""An environment of a user in place of a dataset: Q-learning with a memory, on a net of this package."""

import re
from pathlib import Path

import pytest

from runner.errors import UserError

COMMAND = ["model=mlp", "data=corridor", "model.hidden_dims=[16]", "optim.lr=0.01", "trainer.max_epochs=2",
           "data.steps=200", "tracking.system_metrics=false"]  # fmt: skip


def test_it_learns_the_way(system):
    _, metrics = system.outcome()
    assert metrics["test/return_mean"] > 0.9, "a walker that finds the treasure earns 1, less 0.01 a step"
    assert "train/loss" in metrics and "val/loss" not in metrics
    assert "corridor" in system.log


def test_a_killed_run_ends_with_the_same_weights(system, tmp_path: Path, no_figures):
    assert system.killed_and_resumed(tmp_path, steps=33) == system.outcome()


def test_a_killed_command_goes_on_to_the_same_weights(system, tmp_path: Path):
    assert system.typed_killed_and_resumed(tmp_path / "corridor") == system.outcome()


def test_its_episodes_are_the_same_again(system):
    assert "test/return_mean" in system.runner("evaluate", "run=last")


def test_a_file_cannot_be_scored(system):
    (system.folder / "places.csv").write_text("place\n0.5\n", encoding="utf-8")
    with pytest.raises(UserError, match="no labels to compare with"):
        system.runner("evaluate", "run=last", "input=places.csv")


def test_it_says_what_to_do(system):
    assert system.runner("predict", "run=last", "place=0.5").startswith("action: right\n")
    with pytest.raises(UserError, match="corridor of 9 places has no rows to look at"), system.here():
        from runner.build import build_data

        data = build_data(system.config)
        data.setup()
        data.raw("test")


def test_it_is_exported(system):
    assert "checked with inputs of" in system.runner("export", "run=last", "format=torch_export")


def test_it_keeps_the_contracts(system):
    said = system.runner("doctor", "--config-dir", "conf", "model=mlp", "data=corridor")
    assert re.search(r"All \d+ contracts are kept", said), said


def test_only_data_that_give_episodes_can_be_walked(system):
    with pytest.raises(UserError, match="data=iris has no num_actions and episodes"):
        system.runner("--config-dir", "conf", "model=mlp", "data=iris", "task=q_learning")
