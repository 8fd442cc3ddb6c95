"""The state of a sweep, and how it is found."""

import pytest

from runner.errors import UserError
from runner.sweep.state import JobState, SweepState, find_sweep


def test_the_state_survives_writing_and_reading(tmp_path, repeated):
    repeated.save()
    assert SweepState.load(tmp_path) == repeated
    assert SweepState.load(tmp_path).jobs[12].status is JobState.FAILED


def test_sweeps_are_found_by_name_folder_id_and_last(outputs):
    assert find_sweep("last", outputs).name == find_sweep("id1", outputs).name == "second"
    assert find_sweep("first", outputs).name == find_sweep(str(outputs / "sweeps/first"), outputs).name == "first"
    with pytest.raises(UserError, match=r'no sweep "firts".*Did you mean "first"'):
        find_sweep("firts", outputs)
    with pytest.raises(UserError, match='no sweep "last"'):
        find_sweep("last", outputs / "nothing")


def test_what_a_resumed_sweep_has_to_run_again():
    assert {state for state in JobState if state.open} == {JobState.WAITING, JobState.RUNNING, JobState.KILLED}
