"""Mean, deviation and interval of repetitions."""

import math
import statistics as standard

import pytest

from runner.sweep.state import Job, JobState, SweepState
from runner.sweep.statistics import are_repeated, best_settings, difference, groups, summarise


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


def test_settings_are_compared_with_the_best_one_on_the_same_data(repeated):
    best = best_settings(repeated)
    assert best["textcnn", "imdb"] == best["lstm", "imdb"] == ("lstm", "imdb")
    assert best["textcnn", "reviews"] == ("lstm", "reviews")
    found = groups(repeated)
    one = difference(found["textcnn", "imdb"], found["lstm", "imdb"], repeated.keys, "test/accuracy")
    assert one.summary.count == 3 and one.summary.mean == pytest.approx(-0.1)
    assert one.p == pytest.approx(2 / 2**3), "the least that three pairs can have"


def test_runs_are_compared_in_pairs_of_the_same_seed():
    losses = {"a": [3.0, 2.0, 4.0, 1.0, 5.0, 6.0], "b": [2.0, 1.5, 3.7, 0.9, 4.2, 5.4]}
    ours, theirs = ([Job([f"model={name}", f"seed={seed}"], values={"test/loss": value}) for seed, value in each]
                    for name, each in ((name, enumerate(values)) for name, values in losses.items()))  # fmt: skip
    ours.append(Job(["model=a", "seed=9"], values={"test/loss": 0.0}))  # without a partner
    one = difference(ours, theirs[::-1], ["model", "seed"], "test/loss")
    assert one.summary.mean == pytest.approx(standard.mean(a - b for a, b in zip(*losses.values(), strict=True)))
    assert one.summary.count == 6 and one.p == pytest.approx(2 / 2**6)
    assert difference(ours, ours, ["model", "seed"], "test/loss").p == 1.0
    assert difference(ours, ours[:1], ["model", "seed"], "test/loss") is None
