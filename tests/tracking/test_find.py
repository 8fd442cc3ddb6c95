"""Recorded runs are found by id, name, folder and "last", in a file or on a server."""

import json
import socket
import sqlite3
import subprocess
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from records import begin, query, start_python, uses_mlflow

from runner.errors import UserError
from runner.tracking.find import find_run
from runner.tracking.tracker import Tracker
from runner.verbs.ui import Ui


def test_find_run(tracker, outputs, tmp_path):
    runs = []
    for number, status in enumerate(["FINISHED", "FINISHED", "FAILED"]):
        run = begin(tracker, f"find{number}", {"n": number}, {"runner.folder": str(tmp_path / str(number))})
        run.finish(status)
        runs.append(run)
        time.sleep(0.005)
    begin(tracker, "not made by runner").finish("FINISHED")
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
    with pytest.raises(UserError, match="not a run folder"):
        find_run(None, outputs, str(tmp_path))
    (tmp_path / "run_id").write_text(run.id + "\n")
    assert find_run(None, outputs, str(tmp_path)).folder == tmp_path
    assert find_run(None, outputs, run.id).folder == Path("/where/it/was")
    (tmp_path / "run_id").unlink()
    (tmp_path / "metrics.json").write_text(json.dumps({"test/accuracy": 1.0, "run_id": "f" * 32}))
    unknown = find_run(None, outputs, str(tmp_path))
    assert (unknown.id, unknown.folder, unknown.status) == ("f" * 32, tmp_path, "UNKNOWN")


def test_half_a_commit_is_undone_by_whoever_reads(tracker, outputs, tmp_path):
    """A writer killed within a commit leaves changed pages in the database and the old ones in a journal."""
    run = begin(tracker, "whole", tags={"runner.folder": str(tmp_path)})
    run.finish("FINISHED")
    with (
        closing(sqlite3.connect(outputs / "mlflow.db")) as source,
        closing(sqlite3.connect(tmp_path / "mlflow.db")) as to,
    ):
        source.backup(to)
    code = """
        import os, sqlite3, sys
        database = sqlite3.connect(sys.argv[1], isolation_level=None)
        database.executescript("PRAGMA cache_size = 1; BEGIN; UPDATE runs SET status = 'RUNNING', name = 'half'")
        database.execute("UPDATE tags SET value = hex(zeroblob(3000)) WHERE key != 'runner.folder'")
        os.kill(os.getpid(), 9)
    """
    assert start_python(code, tmp_path / "mlflow.db").wait() == -9
    assert (tmp_path / "mlflow.db-journal").stat().st_size > 0
    found = find_run(None, tmp_path, run.id)
    assert (found.status, found.name, found.folder) == ("FINISHED", "whole", tmp_path)
    assert found.tags["runner.cwd"] == str(Path.cwd())


def test_a_folder_of_any_name(tmp_path):
    name = 'C# a%41b what? it\'s "here",  two spaces \N{GRINNING FACE} a&b=c;d:e@f'
    outputs = tmp_path / name / "outputs"
    (tmp_path / "note.txt").write_text("text")
    with Tracker(None, outputs) as tracker:
        run = begin(tracker, "named", {"a": 1}, {"runner.folder": str(outputs / "named")})
        run.metrics({"loss": 1.0}, step=1)
        run.artifact(tmp_path / "note.txt")
        run.finish("FINISHED")
    assert find_run(None, outputs, run.id).folder == outputs / "named"
    assert find_run(f"sqlite:///{outputs / 'mlflow.db'}", tmp_path, "last").id == run.id
    assert len(query(outputs, "SELECT * FROM metrics")) == 1
    assert (outputs / "mlartifacts" / run.id / "artifacts" / "note.txt").read_text() == "text"
    assert {path.name for path in tmp_path.iterdir()} == {name, "note.txt"}, "and in no other folder"


def test_find_run_without_a_database(tmp_path):
    with pytest.raises(UserError, match="no run"):
        find_run(None, tmp_path, "last")


@pytest.mark.slow
@uses_mlflow
def test_a_server_and_the_page(tracker, outputs):
    """`runner ui` serves the database; a run may as well be recorded through a server, and found there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = """
        import sys
        from runner.verbs.ui import Ui
        Ui(tracking_uri=sys.argv[1], port=int(sys.argv[2]))()
    """
    begin(tracker).finish("FINISHED")
    database = f"sqlite:///{outputs / 'mlflow.db'}"
    server = start_python(code, database, port, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
            Ui(tracking_uri=database, port=port)()
        with pytest.raises(UserError, match="in a browser"):
            Ui(tracking_uri=address)()
    finally:
        server.terminate()
        server.wait()
