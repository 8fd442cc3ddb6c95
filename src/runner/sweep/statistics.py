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
