"""What git knows about the folder a run was started in."""

import subprocess

import pytest
from records import begin

import runner.tracking.git
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
    (tmp_path / "notes.csv").write_text("not code\n")
    state = git_state(tmp_path / "sub", exclude=[tmp_path / "outputs"])
    assert state.dirty
    assert "-one\n+two\n" in state.diff
    assert "+new file\n" in state.diff
    for name in ("weights.bin", "notes.csv"):
        assert f"# not stored here, it is new, and large or not code: {name}\n" in state.diff
    assert "not code\n+" not in state.diff
    assert "big" not in state.diff
    git(tmp_path, "stash", "-u")
    subprocess.run(["git", "apply"], cwd=tmp_path, input=state.diff, text=True, check=True)
    assert (tmp_path / "nöw.py").read_text() == "new file\n"


SECRET = "hunter2-correct-horse"
FILES = {  # {name: content} of files that hold a secret
    ".env": f"DATABASE={SECRET}\n",
    ".env.local": f"X={SECRET}\n",
    "sub/.envrc.env": f"X={SECRET}\n",
    "id_rsa": f"{SECRET}\n",
    "deploy.pem": f"{SECRET}\n",
    "credentials.yaml": f"me: {SECRET}\n",
    "conf/own.yaml": f"db_password: {SECRET}\n",
    "settings.py": f'API_KEY = "{SECRET}"\n',
    "upload.sh": f"curl https://me:{SECRET}@example.org\n",
    "planted.py": f"print('{SECRET}')\n",  # the value of an environment variable
}


@pytest.mark.parametrize("committed", [False, True])
def test_no_secret_gets_into_the_diff(tmp_path, monkeypatch, committed):
    monkeypatch.setenv("SERVICE_TOKEN", SECRET)
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("one\n")
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nothing yet\n")
    git(tmp_path, "add", *([*FILES, "a.py"] if committed else ["a.py"]))
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "a.py").write_text("token = tokenizer(text)\n")
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    diff = git_state(tmp_path).diff
    assert SECRET not in diff
    assert "+token = tokenizer(text)\n" in diff
    for name in FILES:
        assert f": {name}\n" in diff, "it is not said that it was left out"


def test_a_large_diff_ends_with_whole_files(tmp_path, monkeypatch):
    monkeypatch.setattr(runner.tracking.git, "MAX_DIFF", 1000)
    git(tmp_path, "init")
    for name, lines in (("a.py", 10), ("b.py", 500), ("c.py", 10)):
        (tmp_path / name).write_text("line\n" * lines)
    diff = git_state(tmp_path).diff
    assert len(diff) < 1500 and "# not stored here, the diff is too large: b.py\n" in diff


def test_a_repository_cannot_make_git_run_programs(tmp_path):
    git(tmp_path, "init")
    (tmp_path / ".gitattributes").write_text("*.py diff=evil\n")
    (tmp_path / "a.py").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    for key in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command"):
        git(tmp_path, "config", key, f"touch '{tmp_path}/ran'; cat")
    (tmp_path / "a.py").write_text("two\n")
    assert "+two\n" in git_state(tmp_path).diff
    assert not (tmp_path / "ran").exists()


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
