"""Mean, deviation and interval of repetitions."""

import math
import statistics as standard

import pytest

from runner.sweep.state import Job, JobState, SweepState
from runner.sweep.statistics import are_repeated, groups, summarise


def test_mean_deviation_and_interval_are_the_books():
    values = [0.71, 0.74, 0.69, 0.75, 0.73]
    said = summarise(values)
    assert said.count == 5 and said.mean == pytest.approx(standard.mean(values))
    assert said.std == pytest.approx(standard.stdev(values))
    half = 2.7764451 * standard.stdev(values) / math.sqrt(5)  # Student's t for 4 degrees of freedom
    assert (said.low, said.high) == (pytest.approx(said.mean - half), pytest.approx(said.mean + half))
    assert math.isnan(summarise([0.5]).std) and summarise([0.5]).mean == 0.5


def test_jobs_that_differ_in_seed_and_fold_alone_are_repetitions(repeated, tmp_path):
    found = {setting: [int(job.run_id, 16) for job in jobs] for setting, jobs in groups(repeated).items()}
    assert found == {
        ("textcnn", "imdb"): [0, 1, 2],
        ("textcnn", "reviews"): [3, 4, 5],
        ("lstm", "imdb"): [6, 7, 8],
        ("lstm", "reviews"): [9, 10, 11],
    }
    assert are_repeated(repeated.keys) and not are_repeated(["model", "data"])
    folds = {n: Job([f"data.fold={n % 2}", f"seed={n // 2}"], JobState.FINISHED) for n in range(4)}
    state = SweepState(tmp_path, keys=["data.fold", "seed"], jobs=folds)
    assert groups(state) == {(): list(folds.values())}
