"""Two models on the same test rows."""

import numpy as np
import pytest
from scipy import stats

from runner.sweep.by_row import ROWS, RowsTested, bootstrap, mcnemar, row_difference
from runner.sweep.table import difference_table


def answers(right: str, metric: str = "accuracy", truth: str = "a") -> RowsTested:
    return RowsTested(dict.fromkeys(range(len(right)), (truth,)), dict(enumerate(map(float, right))), metric)


def test_mcnemar_is_the_binomial_test_of_the_rows_that_differ() -> None:
    assert mcnemar(0, 0) == 1 and mcnemar(0, 6) == pytest.approx(2 / 2**6)
    tail = sum(stats.binom.pmf(k, 12, 0.5) for k in range(4))
    assert mcnemar(3, 9) == mcnemar(9, 3) == pytest.approx(2 * tail)


def test_the_bootstrap_has_the_interval_of_scipy() -> None:
    differences = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], size=400, p=[0.1, 0.7, 0.2])
    expected = stats.bootstrap((differences,), np.mean, method="percentile", n_resamples=2000, rng=0)
    assert bootstrap(differences) == pytest.approx(tuple(expected.confidence_interval), abs=0.01)
    assert bootstrap(differences) == bootstrap(differences)


def test_single_runs_are_counted_and_runs_over_seeds_are_averaged() -> None:
    one = row_difference({(): [answers("1101")]}, {(): [answers("0001")]})
    assert (one.mean, one.only_ours, one.only_theirs, one.p) == (0.5, 2, 0, 0.5)
    several = row_difference({(): [answers("1101"), answers("1001")]}, {(): [answers("0001"), answers("0011")]})
    assert several.mean == 0.25 and several.p is None
    folds = row_difference({("0",): [answers("11")], ("1",): [answers("01")]}, {("0",): [answers("10")]})
    assert folds.rows == 2, "only the folds that both have"


def test_other_rows_are_not_compared() -> None:
    assert row_difference({(): [answers("11")]}, {(): [answers("11", truth="b")]}) is None
    assert row_difference({(): [answers("11")]}, {(): [answers("111")]}) is None
    assert row_difference({(): [answers("11")]}, {}) is None


def test_the_table_of_a_sweep_compares_row_by_row_where_the_jobs_say_what_they_answered(repeated) -> None:
    for number, job in repeated.jobs.items():
        path = repeated.job_folder(number) / ROWS
        path.parent.mkdir(parents=True)
        label = "a" if job.value("model") == "lstm" else "b"
        path.write_text(f"row,truth,label,error\n0,a,{label},0\n1,b,b,0\n", encoding="utf-8")
    shown = difference_table(repeated, ["val/accuracy"])
    assert shown.header[-2:] == ["accuracy over test rows", "95 % interval"]
    assert [row[-2] for row in shown.rows] == ["-0.5000", "-0.5000"]
