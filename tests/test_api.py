"""`from runner import load, run`: the command as a function."""

import signal
import sys

import pytest
from recorded_runs import inside

from runner import load, run
from runner.errors import UserError


def test_a_finished_run_is_an_object(recorded):
    folder, ids = recorded
    with inside(folder):
        found = load(ids["textcnn"])
        assert found.id == ids["textcnn"] == load(str(found.folder)).id
        assert 0 <= found.metrics["test/accuracy"] <= 1
        assert all(path.is_file() for path in found.figures.values()) and "confusion_matrix" in found.figures
        assert found.task.net.__class__.__name__ == "TextCNN"
        (one,) = found("a fine film")
        assert found(["a fine film", {"text": "a fine film"}]) == [one, one] == found({"text": "a fine film"}) * 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["model=textcn"], 'Did you mean "textcnn"?'),
        (["-m", "seed=1,2"], "-m is for the command line"),
        (["model=mlp", "data=csv", "data.path=gone.csv", "data.label=y"], "gone.csv"),
        (["resume=nothing"], 'there is no run "nothing"'),
    ],
)
def test_a_mistake_is_an_exception_and_leaves_the_program_as_it_was(settings, said, recorded, monkeypatch):
    monkeypatch.chdir(recorded[0])
    before = [*sys.argv], signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        run(*settings)
    assert before == ([*sys.argv], signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_there_is_no_such_run(recorded, monkeypatch):
    monkeypatch.chdir(recorded[0])
    with pytest.raises(UserError, match='there is no run "nothing"'):
        load("nothing")
