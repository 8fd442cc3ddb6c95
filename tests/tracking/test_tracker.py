"""One writer for any number of runs; the training process never imports MLflow."""

import logging
import math

from records import begin, query, start_python

from runner.tracking.find import find_run
from runner.tracking.tracker import as_params


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


def test_the_training_process_never_imports_mlflow(outputs):
    code = """
        import sys
        from pathlib import Path
        from runner.tracking.find import find_run
        from runner.tracking.tracker import Tracker
        with Tracker(None, Path(sys.argv[1])) as tracker:
            run = tracker.start("tests", "light", {}, {})
            run.finish("FINISHED")
            assert find_run(None, Path(sys.argv[1]), run.id).status == "FINISHED"
        assert not {"mlflow", "torch", "pandas", "numpy", "filelock"} & set(sys.modules)
    """
    assert start_python(code, outputs).wait() == 0


def test_warnings_reach_the_log_of_the_training(tracker, caplog):
    with caplog.at_level(logging.WARNING, "runner.tracking.tracker"):
        run = begin(tracker, params={"long": "x" * 6001})
        run.finish("FINISHED")
    assert [record.name for record in caplog.records] == ["runner.tracking.tracker"]


def test_params_are_written_as_overrides():
    config = {"a": {"b": {"c": True}}, "d": [1, "x"], "e": 1e-4, "f": "text", "g": math.nan}
    assert as_params(config) == {"a.b.c": "true", "d": '[1, "x"]', "e": "0.0001", "f": "text", "g": "NaN"}
