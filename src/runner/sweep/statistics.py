"""Repetitions: jobs that differ in nothing but seed or fold, put together as mean, deviation and interval."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.sweep.state import Job

REPEATS = ("seed", "data.fold", "data.split_seed")  # keys whose values are repetitions of one and the same setting
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """What repetitions of one measurement say.

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
    count, mean = len(values), math.fsum(values) / len(values)
    if count == 1:
        return Summary(1, mean, math.nan, math.nan, math.nan)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1)) * std / math.sqrt(count)
    return Summary(count, mean, std, mean - half, mean + half)


def settings(job: Job, keys: Iterable[str]) -> dict[str, str]:
    """Return {key: value} of what varies in the sweep, repetitions left out."""
    return {key: job.value(key) for key in keys if key not in REPEATS}


def groups(jobs: Mapping[int, Job], keys: list[str]) -> dict[tuple[str, ...], list[int]]:
    """Return {values of the settings: numbers of the finished jobs that repeat them}; {} if nothing is repeated."""
    if not any(key in REPEATS for key in keys):
        return {}
    found: dict[tuple[str, ...], list[int]] = {}
    for number, job in sorted(jobs.items()):
        if job.status == "finished":
            found.setdefault(tuple(settings(job, keys).values()), []).append(number)
    return found


def summaries(jobs: Mapping[int, Job], numbers: list[int], metrics: Iterable[str]) -> dict[str, Summary]:
    """Return {metric: summary} of a group, for the metrics that all its jobs have."""
    measured = {metric: [jobs[number].values.get(metric) for number in numbers] for metric in metrics}
    return {metric: summarise(values) for metric, values in measured.items() if None not in values}
