"""Runs recorded by the tests of tracking: begun, looked up in the database, or left behind by a process."""

import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

from runner.tracking.find import find_run

# Tests that use MLflow in this process meet warnings of MLflow and SQLAlchemy, which are not ours.
uses_mlflow = pytest.mark.filterwarnings("ignore")


# Records a hundred points, tells its run, and waits to be killed.
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


def wait_for_points(outputs, run_id, count, seconds=60):
    deadline = time.monotonic() + seconds
    while len(query(outputs, "SELECT * FROM metrics WHERE run_uuid = ?", run_id)) < count:
        assert time.monotonic() < deadline, f"not {count} points after {seconds} s"
        time.sleep(0.1)


def start_python(code, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], **options)
