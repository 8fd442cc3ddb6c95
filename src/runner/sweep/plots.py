"""The figures of a sweep: bars, repetitions with their intervals, parallel coordinates, two objectives."""

from collections.abc import Iterable
from math import isfinite, nan

import numpy as np
from matplotlib.figure import Figure

from runner.figures.charts import entitle, legend_beside, new_figure
from runner.sweep.state import JobState, SweepState
from runner.sweep.statistics import Summary, are_repeated, groups, setting_keys, summaries
from runner.sweep.table import is_numeric_cell, short

MANY = 8  # jobs, beyond which bars of more than one key are hard to read


def sweep_figures(state: SweepState) -> dict[str, Figure]:
    """Return {name: figure} of the finished jobs; {} if there are none."""
    done = state.jobs_in(JobState.FINISHED)
    done = {n: job for n, job in done.items() if all(isfinite(job.values.get(name, nan)) for name in state.metrics)}
    if not done or not state.metrics:
        return {}
    metric = state.metrics[0]
    scores = np.array([job.values[metric] for job in done.values()])
    drawn: dict[str, Figure] = {}
    repeated = are_repeated(state.keys)
    if repeated:
        said = {values: summaries(jobs, [metric]) for values, jobs in groups(state).items()}
        known = {label(values): one[metric] for values, one in said.items() if metric in one}
        halves = [0.0 if one.count == 1 else one.high - one.mean for one in known.values()]
        drawn["repetitions"] = bars(list(known), [one.mean for one in known.values()], metric, halves)
    if len(state.metrics) > 1:
        other = np.array([job.values[state.metrics[1]] for job in done.values()])
        drawn["objectives"] = scatter(scores, other, state, list(done))
    if len(done) > MANY and len(state.keys) > 1:
        columns = {key: [job.value(key) for job in done.values()] for key in state.keys}
        drawn["parallel_coordinates"] = parallel(columns, scores, metric)
    elif not repeated:
        names = [f"{number}: {label(job.value(key) for key in state.keys)}" for number, job in done.items()]
        drawn["jobs"] = bars(names, list(scores), metric)
    for key in state.keys:
        if lines := lines_over(state, key):
            drawn[f"over_{key}"] = over_numbers(lines, key, metric)
    for name, figure in drawn.items():
        entitle(figure, f"{name.replace('_', ' ')}\nsweep {state.name}")
    return drawn


Line = dict[float, Summary]  # one metric at each value of a key


def lines_over(state: SweepState, key: str) -> dict[str, Line]:
    """Return {other settings: the metric at each value of a key}; {} if it is no number or there is nothing to see."""
    keys = setting_keys(state.keys)
    if key not in keys:
        return {}
    place, lines = keys.index(key), dict[str, Line]()
    for values, jobs in groups(state).items():
        if not is_numeric_cell(values[place]):
            return {}
        if one := summaries(jobs, state.metrics[:1]).get(state.metrics[0]):
            lines.setdefault(label(values[:place] + values[place + 1 :]), {})[float(values[place])] = one
    return lines if len(lines) <= MANY and all(len(line) > 1 for line in lines.values()) else {}


def over_numbers(lines: dict[str, Line], key: str, metric: str) -> Figure:
    """A metric over the values of a key, a line for each other setting, with 95 % intervals of the means."""
    figure, axes = new_figure()
    for name, line in lines.items():
        x = sorted(line)
        halves = [0.0 if line[at].count == 1 else line[at].high - line[at].mean for at in x]
        axes.errorbar(x, [line[at].mean for at in x], yerr=halves, marker="o", capsize=3, label=name)
    found = [at for line in lines.values() for at in line]
    if min(found) > 0 and max(found) / min(found) >= 8:
        axes.set_xscale("log")
    repeated = any(one.count > 1 for line in lines.values() for one in line.values())
    axes.set(xlabel=key, ylabel=f"{metric}{', 95 % interval of the mean' if repeated else ''}")
    if len(lines) > 1:
        legend_beside(axes)
    return figure


def label(values: Iterable[str]) -> str:
    """Return the values of a job in one line."""
    return " ".join(short(value) for value in values) or "all"


def bars(names: list[str], heights: list[float], metric: str, halves: list[float] | None = None) -> Figure:
    """One bar a name; `halves` are half the widths of the 95 % intervals."""
    figure, axes = new_figure(6.0, 1.2 + 0.32 * len(names))
    places = np.arange(len(names))
    axes.barh(places, heights, xerr=halves, capsize=3, color="tab:blue", alpha=0.8)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    reach = np.array(halves or np.zeros(len(names)))
    low, high = float(np.min(heights - reach)), float(np.max(heights + reach))
    cut = low > 0.5 * high > 0  # differences that are small would not be seen from 0
    if cut:
        margin = 0.1 * (high - low) or 0.05 * high
        axes.set_xlim(low - margin, high + margin)
    said = [
        metric,
        "95 % interval of the mean" if halves and any(halves) else "",
        "the axis does not begin at 0" if cut else "",
    ]
    axes.set_xlabel(", ".join(filter(None, said)))
    return figure


def scatter(first: np.ndarray, second: np.ndarray, state: SweepState, numbers: list[int]) -> Figure:
    """Two objectives (N,), (N,); the jobs that no other job beats in both are marked."""
    figure, axes = new_figure()
    best = np.array([number in state.best for number in numbers])
    axes.scatter(first[~best], second[~best], color="tab:grey", label="other jobs")
    axes.scatter(first[best], second[best], color="tab:red", label="not beaten in both")
    axes.set(xlabel=state.metrics[0], ylabel=state.metrics[1])
    legend_beside(axes)
    return figure


def parallel(columns: dict[str, list[str]], scores: np.ndarray, metric: str) -> Figure:
    """One axis a key and one for the metric, one line a job, coloured by the metric."""
    from matplotlib import colormaps

    figure, axes = new_figure(2.0 + 1.4 * (len(columns) + 1), 4.5)
    everything = [*columns.values(), [str(score) for score in scores]]
    heights, ticks = zip(*map(scaled, everything), strict=True)
    spread = float(np.ptp(scores)) or 1.0
    for lines in sorted(zip(scores, *heights, strict=True), key=lambda line: line[0]):
        color = colormaps["viridis"]((lines[0] - scores.min()) / spread)
        axes.plot(range(len(heights)), lines[1:], color=color, alpha=0.7)
    for place, marks in enumerate(ticks):
        axes.axvline(place, color="black", linewidth=0.8)
        for height, text in marks:
            axes.annotate(text, (place, height), xytext=(3, 0), textcoords="offset points", fontsize=7, va="center")
    axes.set_xticks(range(len(heights)), [*columns, metric], rotation=20, ha="right")
    axes.set_yticks([])
    axes.margins(x=0.12)
    return figure


def scaled(values: list[str]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Return heights in 0 .. 1 and the marks of one axis; numbers over two powers of ten are scaled by factors."""
    if not all(map(is_numeric_cell, values)):
        known = list(dict.fromkeys(values))
        places = np.linspace(0, 1, len(known))
        return places[[known.index(value) for value in values]], list(zip(places.tolist(), known, strict=True))
    numbers = np.array([float(value) for value in values])
    by_factor = numbers.min() > 0 and numbers.max() / numbers.min() >= 100
    scale = np.log(numbers) if by_factor else numbers
    heights = (scale - scale.min()) / (np.ptp(scale) or 1.0)
    ends = dict.fromkeys((int(scale.argmin()), int(scale.argmax())))
    return heights, [(float(heights[end]), f"{numbers[end]:.4g}") for end in ends]
