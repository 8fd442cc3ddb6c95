"""Nested cross-validation: what is chosen in each fold, and how good that is."""

import pytest

from runner.errors import UserError
from runner.sweep.nested import chosen_by_fold, nested_scores, nested_space
from runner.sweep.state import Job, JobState, SweepState
from runner.sweep.table import closing_tables

VALUES = {  # (fold, optim.lr): on validation, on the test part
    ("0", "0.1"): (0.9, 0.5), ("0", "0.2"): (0.8, 0.7),
    ("1", "0.1"): (0.6, 0.9), ("1", "0.2"): (0.7, 0.8),
}  # fmt: skip


@pytest.fixture
def searched(tmp_path) -> SweepState:
    state = SweepState(tmp_path, keys=["optim.lr", "data.fold"], metrics=["val/accuracy"], directions=["max"])
    for number, ((fold, rate), (val, test)) in enumerate(VALUES.items()):
        values = {"val/accuracy": val, "test/accuracy": test}
        state.jobs[number] = Job([f"optim.lr={rate}", f"++data.fold={fold}"], JobState.FINISHED, values=values)
    return state


def test_validation_chooses_and_the_test_part_judges(searched) -> None:
    assert {fold: setting for fold, (setting, _) in chosen_by_fold(searched).items()} == {"0": ("0.1",), "1": ("0.2",)}
    said = nested_scores(searched, ["test/accuracy"])["test/accuracy"]
    assert (said.mean, said.count) == (pytest.approx(0.65), 2)
    shown = next(table for table in closing_tables(searched, ["test/accuracy"]) if table.name == "nested")
    assert [row[:2] for row in shown.rows] == [["0", "0.1"], ["1", "0.2"], ["mean", ""]]


def test_a_fold_that_is_not_complete_is_left_out(searched) -> None:
    searched.jobs[3].status = JobState.FAILED
    assert chosen_by_fold(searched) == {}, "one fold alone is none"


def test_the_folds_are_added_to_what_varies() -> None:
    settings = {"space": {"model": "a,b"}, "method": "grid", "nested": 5}
    assert nested_space(settings, []) == {"model": "a,b", "++data.folds": "5", "++data.fold": "range(0,5)"}
    assert nested_space({**settings, "nested": None}, []) == {"model": "a,b"}
    for changed, typed, message in (
        ({"nested": 2}, [], "at least 3"),
        ({"method": "optuna"}, [], "sweep=grid"),
        ({}, ["data.fold=1"], "leave data.fold=1"),
    ):
        with pytest.raises(UserError, match=message):
            nested_space({**settings, **changed}, typed)
