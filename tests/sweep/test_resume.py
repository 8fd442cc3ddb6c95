"""The command that resumes a sweep."""

import pytest

from runner.errors import UserError
from runner.sweep.resume import resumed_sweep


def test_a_resumed_sweep_is_the_same_command(outputs, tmp_path, monkeypatch):
    found = resumed_sweep(["-m", "resume_sweep=last", "sweep.jobs=4", "--debug"], outputs)
    assert found == [
        "-m",
        "--debug",
        "--config-dir=/somewhere/conf",
        "hydra/launcher=joblib",
        "model=a,b",
        "~experiment",
        "sweep.jobs=4",
        f"hydra.sweep.dir='{outputs / 'sweeps/second'}'",
        "sweep.resume=true",
    ]
    with pytest.raises(UserError, match=r"received model=c\. Only"):
        resumed_sweep(["resume_sweep=first", "model=c"], outputs)
    monkeypatch.chdir(outputs)
    with pytest.raises(UserError, match="go there first"):
        resumed_sweep(["resume_sweep=first"], outputs)
