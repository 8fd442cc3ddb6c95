"""The status of a run is right however its training process ends."""

import os
import signal
import subprocess
import time

import pytest
from records import CHILD, begin, query, start_python, uses_mlflow, wait_for_points, wait_for_status

from runner.tracking import tracker as tracker_module
from runner.tracking.find import find_run
from runner.tracking.record import TrackingError
from runner.tracking.tracker import Tracker
from runner.tracking.writer import RecordWriter


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


def test_another_writer_takes_the_place_of_one_that_is_killed(outputs, tmp_path, caplog):
    """Killed with points that it has stored, points that it has not stored and points on their way."""
    (tmp_path / "note.txt").write_text("text")
    with Tracker(None, outputs) as tracker:
        run = begin(tracker, params={"a": 1})
        for step in range(300):
            run.metrics({"loss": step}, step=step)
            if step in (100, 200):
                os.kill(int(find_run(None, outputs, run.id).tags["runner.writer"].split(":")[-2]), signal.SIGKILL)
                run.artifact(tmp_path / "note.txt")
                wait_for_points(outputs, run.id, step + 1)
        run.finish("FINISHED")
    found = find_run(None, outputs, run.id)
    assert (found.status, found.params) == ("FINISHED", {"a": "1"})
    assert "runner.ended" not in found.tags
    steps = query(outputs, "SELECT step, value FROM metrics WHERE run_uuid = ? ORDER BY step", run.id)
    assert steps == [(step, step) for step in range(300)]
    assert (outputs / "mlartifacts" / run.id / "artifacts" / "note.txt").read_text() == "text"
    assert caplog.text.count("was killed (signal 9); another one takes over") == 2


def test_a_writer_that_is_always_killed_does_not_end_the_training(outputs, monkeypatch, caplog):
    monkeypatch.setattr(tracker_module, "WRITER", ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    with Tracker(None, outputs) as tracker:
        run = begin(tracker, resume="1" * 32)
        deadline = time.monotonic() + 60
        while "the training continues without it" not in caplog.text:
            run.metrics({"loss": 1.0}, step=1)
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run.metrics({"loss": 1.0}, step=2)
        with pytest.raises(TrackingError, match=r"incomplete: .*exit code -9.*type: runner resume=1111"):
            run.finish("FINISHED")


@uses_mlflow
def test_a_run_that_a_killed_writer_has_created_is_not_created_again(tmp_path):
    """The kill came between the commit in the database and the answer with the id."""
    answers = []
    writer = RecordWriter(f"sqlite:///{tmp_path / 'mlflow.db'}", "", answers=-1)
    writer.answer = lambda **answer: answers.append(answer)
    about = {"cwd": str(tmp_path), "argv": ["runner"], "outputs": str(tmp_path)}
    start = {"experiment": "tests", "name": "one", "params": {}, "tags": {}, "parent": None, "resume": None,
             "system_metrics": False, "context": about, "id": None}  # fmt: skip
    writer.carry_out("start", run=1, time_ms=5, again=False, **start)
    later = RecordWriter(writer.uri, "", answers=-1)
    later.answer = writer.answer
    later.carry_out("start", run=1, time_ms=5, again=True, **start)
    later.carry_out("start", run=2, time_ms=5, again=True, **start | {"name": "another"})
    later.carry_out("start", run=3, time_ms=5, again=False, **start)
    first, again, another, same_name = [answer["id"] for answer in answers]
    assert first == again and len({first, another, same_name}) == 3


def test_a_server_that_does_not_answer(tmp_path):
    with Tracker("http://127.0.0.1:9", tmp_path) as tracker:
        run = begin(tracker)
        with pytest.raises(TrackingError, match=r"http://127.0.0.1:9.*Is the server running"):
            run.id  # noqa: B018 (a property that waits)
