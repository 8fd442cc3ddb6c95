"""A run trained again from the tracker alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_runs import inside

from runner.errors import UserError
from runner.tracking import artifacts as stored
from runner.tracking.find import find_run
from runner.verbs import rerun

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*type hint:UserWarning"
)


def test_a_rerun_is_equal_and_says_whose_it_is(recorded, tmp_path: Path, capsys) -> None:
    """From another folder, on a copy of the tracker: the run folder itself is not looked at."""
    folder, ids = recorded
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    shutil.copy(folder / "outputs" / "mlflow.db", tmp_path / "mlflow.db")
    with inside(tmp_path):
        assert rerun.Rerun(run=ids["iris"], tracking_uri=uri)() == 0
        new = find_run(uri, tmp_path / "outputs", "last")
    printed = capsys.readouterr().out
    assert f"equal to run {ids['iris']} in all" in printed
    assert f"the run was started in {folder}" in printed
    assert new.tags["runner.rerun_of"] == ids["iris"] and new.status == "FINISHED"
    metrics = json.loads((new.folder / "metrics.json").read_text())
    original = json.loads((folder / "outputs" / "iris" / "run" / "metrics.json").read_text())
    assert metrics["test/loss"] == original["test/loss"] and metrics["run_id"] == new.id
    assert new.folder.is_relative_to(tmp_path)


def test_differences_are_said(recorded) -> None:
    folder, ids = recorded
    run = find_run(None, folder / "outputs", ids["iris"])
    text = stored.stored_text(stored.client(None, folder / "outputs"), run, "config.yaml")
    cfg = rerun.Rerun(run="any").configuration(text)
    changed = {"version.torch": "1.0", "version.mxnet": "2", "runner.cwd": "/elsewhere", "runner.data_digest": "abc"}
    said = "\n".join(rerun.changes_since(replace(run, tags={**run.tags, **changed, "runner.git.commit": "f00"}), cfg))
    for fragment in ("torch was 1.0", "mxnet was 2, now it is not installed", "started in /elsewhere",
                     "sha256 was abc", "at commit f00"):  # fmt: skip
        assert fragment in said
    with inside(folder):
        same = {name: value for name, value in run.tags.items() if "git" not in name}
        assert rerun.changes_since(replace(run, tags=same), cfg) == []


def test_unequal_metrics_are_reported(recorded, capsys) -> None:
    folder, ids = recorded
    run = find_run(None, folder / "outputs", ids["iris"])
    before = {"test/loss": 1.0, "test/auroc": float("nan"), "train/samples_per_second": 9.0, "system/cpu": 1.0}
    assert rerun.report(run, before, {"test/loss": 1.0, "test/auroc": float("nan")}) == 0
    assert rerun.report(run, before, {"test/loss": 1.5}) == 1
    assert "test/loss: 1.0 then, 1.5 now" in capsys.readouterr().out


def test_a_stored_configuration_may_not_run_what_it_likes() -> None:
    text = "allow: [subprocess]\ntracking: {uri: null}\nmodel: {_target_: subprocess.Popen, args: [touch, x]}\n"
    with pytest.raises(UserError, match=r"model._target_=subprocess.Popen"):
        rerun.Rerun(run="any").configuration(text)
