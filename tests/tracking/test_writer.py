"""The status of a run is right however its training process ends."""

import os
import signal
import subprocess
import time

import pytest
from records import CHILD, begin, query, start_python, wait_for_status

from runner.tracking.find import find_run
from runner.tracking.record import TrackingError
from runner.tracking.tracker import Tracker


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
    """Trainer and writer killed together, as by a power cut: no process is left to tell, until the next run starts."""
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


def test_a_server_that_does_not_answer(tmp_path):
    with Tracker("http://127.0.0.1:9", tmp_path) as tracker:
        run = begin(tracker)
        with pytest.raises(TrackingError, match=r"http://127.0.0.1:9.*Is the server running"):
            run.id  # noqa: B018 (a property that waits)
