"""Reliability diagrams: how often the class that is answered is right, over the probability that it was given."""

import numpy as np
from matplotlib.figure import Figure


def reliability(sides: dict[str, tuple[np.ndarray, np.ndarray]], bins: int) -> Figure:
    """One panel for each of `sides`, and below it how many rows there are.

    Args:
        sides: {title: (probability of the class that is answered (N,), whether it is right (N,))}.
        bins: of equal width between 0 and 1.
    """
    figure = Figure(figsize=(4.2 * len(sides), 4.6), layout="constrained", dpi=120)
    panels = figure.subplots(2, len(sides), squeeze=False, sharex=True, height_ratios=[3, 1])
    edges = np.linspace(0, 1, bins + 1)
    for number, (title, (confidence, right)) in enumerate(sides.items()):
        place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)  # (N,)
        count = np.bincount(place, minlength=bins)
        share = np.bincount(place, right, bins) / np.maximum(count, 1)
        axes, below = panels[:, number]
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
        axes.bar(edges[:-1], share, 1 / bins, align="edge", edgecolor="white", label="right")
        mean = np.bincount(place, confidence, bins) / np.maximum(count, 1)
        axes.plot(mean[count > 0], share[count > 0], "o", color="C3", markersize=3)
        axes.set(title=title, ylim=(0, 1), xlim=(0, 1))
        below.bar(edges[:-1], count, 1 / bins, align="edge", edgecolor="white", color="0.6")
        below.set(xlabel="probability of the class that is answered")
    panels[0, 0].set_ylabel("share that is right")
    panels[1, 0].set_ylabel("rows")
    return figure
