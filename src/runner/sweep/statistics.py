"""Repetitions: jobs that differ only in seed or fold, summarised by mean, deviation and interval."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from runner.sweep.state import Job, JobState, SweepState

REPEATS = ("seed", "data.fold", "data.split_seed")  # keys whose values repeat the same setting
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Summary of repeated measurements.

    Args:
        count: number of repetitions.
        mean: their mean.
        std: their standard deviation, the one of a sample (divided by count - 1); NaN for one repetition.
        low: lower end of the 95 % interval of the mean (Student's t); NaN for one repetition.
        high: upper end of the interval.
    """

    count: int
    mean: float
    std: float
    low: float
    high: float


def summarise(values: Iterable[float]) -> Summary:
    """Return mean, deviation and interval of at least one value."""
    from scipy.stats import t

    values = list(values)
    count, mean = len(values), fmean(values)
    if count == 1:
        return Summary(1, mean, math.nan, math.nan, math.nan)
    std = stdev(values)
    half = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1)) * std / math.sqrt(count)
    return Summary(count, mean, std, mean - half, mean + half)


def setting_keys(keys: Iterable[str]) -> list[str]:
    """Return the keys that vary in a sweep, without those of repetitions."""
    return [key for key in keys if key not in REPEATS]


def are_repeated(keys: Iterable[str]) -> bool:
    """Whether a sweep over these keys repeats its settings."""
    return any(key in REPEATS for key in keys)


def groups(state: SweepState) -> dict[tuple[str, ...], list[Job]]:
    """Return {values of the settings: the finished jobs that have them}."""
    found: dict[tuple[str, ...], list[Job]] = {}
    for job in state.jobs_in(JobState.FINISHED).values():
        found.setdefault(tuple(job.value(key) for key in setting_keys(state.keys)), []).append(job)
    return found


def summaries(jobs: list[Job], metrics: Iterable[str]) -> dict[str, Summary]:
    """Return {metric: summary} of a group, for the metrics that all its jobs have."""
    shared = [metric for metric in metrics if all(metric in job.values for job in jobs)]
    return {metric: summarise(job.values[metric] for job in jobs) for metric in shared}


@dataclass(frozen=True)
class Difference:
    """How one setting differs from another, measured on the same seeds and folds.

    Args:
        summary: of the differences, one for each seed and fold that both have.
        p: of Wilcoxon's signed-rank test, two-sided and exact: how likely such differences are if neither is better. It
            cannot be below 2 / 2^n for n pairs, so that fewer than six never reach 0.05.
    """

    summary: Summary
    p: float


def best_settings(state: SweepState) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return {setting: the best setting on the same data}, by the mean of the metric that picks the best job."""
    keys, metric, direction = setting_keys(state.keys), state.metrics[0], state.directions[0]
    place = keys.index("data") if "data" in keys else None
    means = {setting: fmean(job.values[metric] for job in jobs) for setting, jobs in groups(state).items()
             if all(metric in job.values for job in jobs)}  # fmt: skip
    best: dict[str, tuple[str, ...]] = {}
    for setting in sorted(means, key=means.__getitem__, reverse=direction == "max"):
        best.setdefault("" if place is None else setting[place], setting)
    return {setting: best["" if place is None else setting[place]] for setting in means}


def difference(jobs: list[Job], others: list[Job], keys: Iterable[str], metric: str) -> Difference | None:
    """Return how a metric of one setting differs from that of another one; None with fewer than two pairs.

    Args:
        jobs: those of the first setting.
        others: those of the second one.
        keys: what varies in the sweep; jobs with the same values of those that repeat are a pair.
        metric: what is compared.
    """
    from scipy.stats import wilcoxon

    repeats = [key for key in keys if key in REPEATS]
    ours, theirs = (
        {tuple(map(job.value, repeats)): job.values[metric] for job in some if metric in job.values}
        for some in (jobs, others)
    )
    pairs = [value - theirs[repeat] for repeat, value in ours.items() if repeat in theirs]
    if len(pairs) < 2:
        return None
    return Difference(summarise(pairs), float(wilcoxon(pairs, method="exact").pvalue) if any(pairs) else 1.0)
