"""What the writer does in MLflow: params in batches, resume, waiting for a busy database."""

import inspect
import json
import os
import socket
import sqlite3
import time

import pytest
from records import begin, query, uses_mlflow

from runner.tracking.find import find_run
from runner.tracking.patience import Patience
from runner.tracking.record import Record, TrackingError
from runner.tracking.store import Store, StoredRun


def test_every_message_of_a_record_is_carried_out_by_the_run_in_the_store():
    """`message` wraps what it marks; the method of the same name takes the same arguments, none of them left out."""
    messages = [name for name, method in vars(Record).items() if hasattr(method, "__wrapped__")]
    assert sorted(messages) == ["artifact", "dataset", "metrics", "model", "tags"]
    for name in messages:
        declared, carried_out = (inspect.signature(getattr(cls, name)).parameters for cls in (Record, StoredRun))
        assert list(declared) == list(carried_out), name
        assert all(argument.default is argument.empty for argument in carried_out.values()), name


def test_many_and_long_params(tracker, outputs, caplog):
    params = {f"key{number}": "v" * 6000 for number in range(250)}
    run = begin(tracker, params={**params, "long": "x" * 7000, "odd@name": 1})
    run.finish("FINISHED")
    found = find_run(None, outputs, run.id).params
    assert found == {**params, "long": "x" * 6000, "odd_name": "1"}
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ["MLflow keeps 6000 characters of the parameter long; the config has all"]


def test_resume_continues_the_same_run(tracker, outputs):
    first = begin(tracker, params={"lr": 0.1, "text": "x" * 7000})
    for step in range(10):
        first.metrics({"loss": step}, step=step)
    first.finish("KILLED", error="stopped")
    again = begin(tracker, params={"lr": 0.2, "text": "x" * 7000, "new": 1}, tags={"note": "2"}, resume=first.id)
    assert again.id == first.id
    assert find_run(None, outputs, first.id).status == "RUNNING"
    for step in range(5, 15):  # from the checkpoint after step 4
        again.metrics({"loss": step, "other": 1}, step=step)
    again.finish("FINISHED")
    found = find_run(None, outputs, first.id)
    assert found.status == "FINISHED"
    assert found.params == {"lr": "0.1", "text": "x" * 6000, "new": "1"}
    assert json.loads(found.tags["runner.changed_params"]) == {"lr": ["0.1", "0.2"]}
    assert found.tags["note"] == "2"
    assert "runner.error" not in found.tags
    steps = query(outputs, "SELECT step FROM metrics WHERE run_uuid = ? AND key = 'loss' ORDER BY step", first.id)
    assert [step for (step,) in steps] == list(range(15))


def test_resume_of_nothing(tracker):
    run = begin(tracker, resume="0" * 32)
    with pytest.raises(TrackingError, match="0000"):
        run.id  # noqa: B018 (a property that waits)
    run.metrics({"loss": 1.0}, step=1)  # a training would not end because of that
    with pytest.raises(TrackingError, match="0000"):
        run.finish("FINISHED")


def test_system_metrics_even_in_a_short_run(tracker, outputs):
    run = tracker.start("tests", "short", {}, {})
    run.finish("FINISHED")
    again = tracker.start("tests", "short", {}, {}, resume=run.id)
    again.finish("FINISHED")
    rows = query(outputs, "SELECT key, step FROM metrics WHERE run_uuid = ? AND key LIKE 'system/cpu%'", run.id)
    assert len(rows) == len(set(rows)) >= 2


@uses_mlflow
def test_a_run_that_finishes_during_the_search_for_lost_runs_stays_finished(tmp_path, monkeypatch):
    store = Store(f"sqlite:///{tmp_path / 'mlflow.db'}", "", Patience(warn=print))
    ended = f"{socket.gethostname()}:{os.getpid()}:1.0"  # of this machine, and no process that runs
    lost, finishing = (
        store.create("tests", name, {"runner.writer": ended}, 0, again=False) for name in ("lost", "finishing")
    )
    search = store.client.search_runs

    def search_and_finish(*arguments):
        found = search(*arguments)
        finishing.finish("FINISHED")
        return found

    monkeypatch.setattr(store.client, "search_runs", search_and_finish)
    store.close_lost_runs(lost.experiment_id)
    runs = [store.client.get_run(run.id) for run in (lost, finishing)]
    assert [run.info.status for run in runs] == ["KILLED", "FINISHED"]
    assert ["runner.ended" in run.data.tags for run in runs] == [True, False]


def test_a_busy_database_is_waited_out(tracker, outputs):
    run = begin(tracker)
    run.id  # noqa: B018 (wait until the run is open)
    lock = sqlite3.connect(outputs / "mlflow.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    for step in range(100):
        run.metrics({"loss": 1.0}, step=step)  # if this waited, it would wait for ever
    time.sleep(3.0)
    lock.execute("COMMIT")
    lock.close()
    run.finish("FINISHED")
    assert len(query(outputs, "SELECT * FROM metrics WHERE run_uuid = ?", run.id)) == 100
