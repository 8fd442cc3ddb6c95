"""What git knows about the folder a run was started in."""

import subprocess

from records import begin

from runner.tracking.find import find_run
from runner.tracking.git import git_state
from runner.tracking.tracker import Tracker


def git(folder, *arguments):
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_git_state(tmp_path):
    assert git_state(tmp_path) is None
    git(tmp_path, "init", "-b", "trunk")
    assert git_state(tmp_path).commit is None
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.py").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://me:token@example.org/x.git")
    clean = git_state(tmp_path / "sub")
    assert (len(clean.commit), clean.branch, clean.dirty, clean.diff) == (40, "trunk", False, "")
    assert clean.remote == "https://example.org/x.git"

    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "big").write_text("x")
    assert not git_state(tmp_path, exclude=[tmp_path / "outputs"]).dirty
    (tmp_path / "a.py").write_text("two\n")
    (tmp_path / "nöw.py").write_text("new file\n")
    (tmp_path / "weights.bin").write_bytes(bytes(300_000))
    state = git_state(tmp_path / "sub", exclude=[tmp_path / "outputs"])
    assert state.dirty
    assert "-one\n+two\n" in state.diff
    assert "+new file\n" in state.diff
    assert "not stored here: weights.bin" in state.diff
    assert "big" not in state.diff
    git(tmp_path, "stash", "-u")
    subprocess.run(["git", "apply"], cwd=tmp_path, input=state.diff, text=True, check=True)
    assert (tmp_path / "nöw.py").read_text() == "new file\n"


def test_git_state_is_recorded(outputs, tmp_path, monkeypatch):
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "a.py").write_text("two\n")
    monkeypatch.chdir(tmp_path)
    with Tracker(None, outputs) as tracker:
        run = begin(tracker)
        run.finish("FINISHED")
    found = find_run(None, outputs, run.id)
    assert found.tags["runner.git.dirty"] == "true"
    assert found.tags["mlflow.source.git.commit"] == git_state(tmp_path).commit
    assert "+two" in (outputs / "mlartifacts" / run.id / "artifacts" / "git.diff").read_text()
