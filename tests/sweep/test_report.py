"""The end of a sweep: the best jobs, and the numbers of the parent run."""

import math

import pytest

from runner.sweep.plots import sweep_figures
from runner.sweep.report import best_jobs, parent_metrics
from runner.sweep.state import Job, JobState, SweepState


def test_numbers_of_the_parent_run(repeated):
    repeated.best = best_jobs(repeated)
    numbers = parent_metrics(repeated, ["val/accuracy"])
    assert numbers["best/val/accuracy"] == pytest.approx(0.93)
    assert numbers["model:lstm data:imdb/val/accuracy/mean"] == pytest.approx(0.92)
    assert numbers["model:lstm data:imdb/val/accuracy/n"] == 3
    assert numbers["model:lstm data:imdb/val/accuracy/ci95_low"] == pytest.approx(
        0.92 - 4.3026527 * 0.01 / math.sqrt(3)
    )


def test_several_objectives_have_several_best(tmp_path):
    points = [(0.7, 1.0), (0.8, 2.0), (0.7, 0.5), (0.6, 3.0), (math.nan, 0.0)]
    jobs = {n: Job([f"x={n}"], JobState.FINISHED, values={"a": a, "b": b}) for n, (a, b) in enumerate(points)}
    state = SweepState(tmp_path, keys=["x"], metrics=["a", "b"], directions=["max", "min"], jobs=jobs)
    state.best = best_jobs(state)
    assert state.best == [1, 2]
    assert "objectives" in sweep_figures(state)
