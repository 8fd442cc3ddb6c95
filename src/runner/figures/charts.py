"""Charts of curves and classes: each function takes arrays and returns a matplotlib figure."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

Curve = tuple[list[float], list[float]]  # epochs and values


def new_figure(width: float = 7.0, height: float = 4.0) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
    return figure, figure.subplots()


def entitle(figure: Figure, title: str) -> None:
    """Write above a figure what it shows and of which run; a heading that it has already stays below that."""
    lines = [*title.split("\n"), figure.get_suptitle()]
    figure.suptitle("\n".join(line for line in lines if line), fontsize=9, parse_math=False)


def legend_beside(axes: Any, **options: Any) -> None:
    """Explain the lines to the right of the plot, where nothing is hidden."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, fontsize=8, **options)


def epochs_at(steps: list[int], ends: list[int], numbers: list[float]) -> list[float]:
    """How many epochs there had been at each optimizer step.

    Args:
        steps: to convert.
        ends: the last step of each epoch.
        numbers: those epochs, from 1.
    """
    return np.interp(steps, [0, *ends], [0.0, *numbers]).tolist()


def learning_curves(curves: dict[str, Curve], name: str, best: float | None) -> Figure:
    """One metric over the epochs, a line for each split; the kept checkpoint, of the epoch `best`, is marked."""
    figure, axes = new_figure()
    for split, (epochs, values) in curves.items():
        axes.plot(epochs, values, marker="." if len(epochs) < 40 else None, label=split)
    if best is not None:
        axes.axvline(best, color="grey", linestyle=":", label="kept checkpoint")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="epoch", ylabel=name)
    legend_beside(axes)
    return figure


def confusion_matrix(counts: np.ndarray, names: list[str] | None) -> Figure:
    """Counts (K, K): actual class by predicted class, shaded by the share of the actual class."""
    classes = len(counts)
    side = min(14.0, 3.5 + 0.45 * classes)
    figure, axes = new_figure(side, side * 0.9)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if classes <= 20:
        for row in range(classes):
            for column in range(classes):
                shade = "white" if share[row, column] > 0.5 else "black"
                axes.text(column, row, int(counts[row, column]), ha="center", va="center", color=shade, fontsize=9)
        labels = names or [str(number) for number in range(classes)]
        axes.set_xticks(range(classes), labels, rotation=45, ha="right")
        axes.set_yticks(range(classes), labels)
    axes.set(xlabel="predicted", ylabel="actual")
    return figure


def class_distribution(sizes: dict[str, np.ndarray], names: list[str] | None) -> Figure:
    """Rows of each class (K,) in each split, on a logarithmic scale where they differ much."""
    splits, classes = list(sizes), len(next(iter(sizes.values())))
    figure, axes = new_figure(min(14.0, 4.5 + 0.6 * classes))
    places, width = np.arange(classes), 0.8 / len(splits)
    for number, split in enumerate(splits):
        bars = axes.bar(places + (number - (len(splits) - 1) / 2) * width, sizes[split], width, label=split)
        if classes <= 10:
            axes.bar_label(bars, fontsize=8)
    if classes <= 20:
        axes.set_xticks(places, names or [str(number) for number in range(classes)], rotation=45, ha="right")
    largest, smallest = sizes[splits[0]].max(), sizes[splits[0]].min()
    if largest > 20 * max(smallest, 1):
        axes.set_yscale("log")
        axes.set_ylim(bottom=1)
    axes.set(xlabel="class", ylabel=f"rows{', logarithmic from 1' if axes.get_yscale() == 'log' else ''}")
    legend_beside(axes)
    return figure


def optimizer_curves(curves: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Loss after each epoch, a panel for each split and a line for each optimizer; best one first in the legend.

    Args:
        curves: {split: {optimizer: losses (epochs,)}}.
    """
    figure = Figure(figsize=(8.0 * len(curves), 5.0), layout="constrained", dpi=120)
    for axes, (split, losses) in zip(np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True):
        lines = {}
        for number, (name, values) in enumerate(losses.items()):
            style = ("-", "--", ":")[number // 10 % 3]
            (lines[name],) = axes.plot(np.arange(1, len(values) + 1), values, style, color=f"C{number % 10}")
        ranked = sorted((name for name in losses if len(losses[name])), key=lambda name: losses[name][-1])
        names = [f"{name} {losses[name][-1]:.3g}" for name in ranked]
        legend_beside(axes, handles=[lines[name] for name in ranked], labels=names, title="loss at the end")
        axes.set_yscale("log")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel="epoch", ylabel=f"{split} loss")
    return figure


def scores_by_length(bins: list[tuple[int, int, int]], scores: dict[str, list[float]]) -> Figure:
    """Scores of texts, 0 .. 100, of short and of long sources; the bars are how many there are.

    Args:
        bins: shortest source, longest source, number of sources.
        scores: {name: one number for each bin}.
    """
    figure, axes = new_figure()
    places = range(len(bins))
    counts = axes.twinx()
    counts.bar(places, [number for _, _, number in bins], color="0.9", width=0.6)
    counts.set(ylabel="sources (bars)")
    axes.set_zorder(counts.get_zorder() + 1)  # the lines in front of the bars
    axes.patch.set_visible(False)
    for name, values in scores.items():
        axes.plot(places, values, marker="o", label=name)
    axes.set_xticks(places, [f"{low}" if low == high else f"{low}-{high}" for low, high, _ in bins])
    axes.set_ylim(bottom=0)
    axes.set(xlabel="tokens of the source", ylabel="score")
    axes.legend(loc="upper right")
    return figure


def latent_space(codes: np.ndarray, labels: np.ndarray) -> Figure:
    """The first two dimensions of codes (N, Z), coloured by class number (N,)."""
    figure, axes = new_figure(6, 5)
    second = codes[:, 1] if codes.shape[1] > 1 else np.zeros(len(codes))
    classes = int(labels.max()) + 1
    colours = colormaps["tab10" if classes <= 10 else "nipy_spectral"].resampled(classes)
    points = axes.scatter(codes[:, 0], second, c=labels, cmap=colours, vmin=-0.5, vmax=classes - 0.5, s=8)
    figure.colorbar(points, label="class", ticks=range(classes) if classes <= 20 else None)
    axes.set(xlabel="z1", ylabel="z2")
    return figure


def prior_and_codes(codes: np.ndarray) -> Figure:
    """The first two dimensions of codes (N, Z) over as many draws from the prior N(0, 1)."""
    figure, axes = new_figure(6, 5)
    prior = np.random.default_rng(0).standard_normal(codes.shape)
    for points, colour, name in ((prior, "0.75", "prior"), (codes, "C0", "codes")):
        second = points[:, 1] if points.shape[1] > 1 else np.zeros(len(points))
        axes.scatter(points[:, 0], second, color=colour, s=8, label=name)
    axes.set(xlabel="z1", ylabel="z2")
    legend_beside(axes)
    return figure


def pca(vectors: np.ndarray) -> np.ndarray:
    """The two directions in which vectors (N, E) differ most, (N, 2)."""
    from sklearn.decomposition import PCA  # late: few figures need it

    return PCA(2, svd_solver="full").fit_transform(vectors)


def tsne(vectors: np.ndarray) -> np.ndarray:
    """Points (N, 2) whose near neighbours are those of the vectors (N, E) (van der Maaten and Hinton 2008)."""
    from sklearn.manifold import TSNE

    return TSNE(perplexity=min(30.0, (len(vectors) - 1) / 3), init="pca", random_state=0).fit_transform(vectors)


MAPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"pca": pca, "tsne": tsne}


def word_map(vectors: np.ndarray, words: list[str], method: str, marked: Collection[str] = ()) -> Figure:
    """Words as a map of their vectors (N, E) in two dimensions.

    Args:
        vectors: at least three.
        words: their names.
        method: a key of MAPS.
        marked: words in another colour.
    """
    figure, axes = new_figure(10, 8)
    points = MAPS[method](vectors)
    axes.scatter(*points.T, s=3, color="lightgrey")
    for word, point in zip(words, points, strict=True):
        colour = "C3" if word in marked else "black"
        axes.annotate(word, point, fontsize=7, color=colour, ha="center", va="center", parse_math=False)
    axes.set(xticks=[], yticks=[], title=f"{len(words)} words, {method}")
    return figure


def word_weights(words: list[str], panels: dict[str, np.ndarray], most: int = 30) -> Figure:
    """The weight of each word (T,), in the order of the text, a panel for each title.

    Of a long text only the `most` important words of the first panel.
    """
    weights = next(iter(panels.values()))
    kept = np.sort(np.argsort(-np.abs(weights), kind="stable")[:most])
    figure = Figure(figsize=(2.0 + 4.0 * len(panels), 1.2 + 0.24 * len(kept)), layout="constrained", dpi=120)
    for axes, (title, all_values) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        values = all_values[kept]
        axes.barh(np.arange(len(kept)), values, color=["C2" if value >= 0 else "C3" for value in values])
        axes.set_yticks(np.arange(len(kept)), [words[place] for place in kept], parse_math=False)
        axes.invert_yaxis()
        axes.axvline(0, color="grey", linewidth=0.8)
        axes.set_title(title)
    return figure


def range_test(rates: np.ndarray, losses: np.ndarray, chosen: float | None) -> Figure:
    """Smoothed loss (N,) over growing learning rates (N,); the chosen rate is marked."""
    figure, axes = new_figure()
    axes.plot(rates, losses)
    axes.set_xscale("log")
    if chosen is not None:
        axes.axvline(chosen, color="grey", linestyle=":", label=f"steepest: {chosen:.2g}")
        legend_beside(axes)
    axes.set(xlabel="learning rate", ylabel="smoothed loss")
    return figure


def compared_curves(curves: dict[str, dict[str, list[Curve]]], colours: int = 10) -> Figure:
    """Learning curves of several runs, a panel for each metric, one legend for all.

    Args:
        curves: {metric: {run: [validation, training]}}, the most interesting runs first; a curve may be empty.
        colours: how many runs have a colour and a name; the others are grey, in the background.
    """
    figure = Figure(figsize=(5.0 * max(1, len(curves)) + 2.5, 4.0), layout="constrained", dpi=120)
    panels = figure.subplots(1, max(1, len(curves)), squeeze=False)[0]
    names = list(dict.fromkeys(run for runs in curves.values() for run in runs))
    styles: dict[str, dict[str, Any]] = {run: {"color": "0.8", "linewidth": 0.8, "zorder": 1} for run in names}
    styles |= {run: {"color": f"C{number % 10}"} for number, run in enumerate(names[:colours])}
    for axes, (metric, runs) in zip(panels, curves.items(), strict=False):
        for run, (validation, training) in runs.items():
            axes.plot(*validation, marker="." if len(validation[0]) < 40 else None, **styles[run])
            axes.plot(*training, linestyle=":", **styles[run])
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel="epoch", ylabel=metric)
    shown = {run: Line2D([], [], **styles[run]) for run in names[:colours]}
    if others := names[colours:]:
        shown[f"{len(others)} other runs"] = Line2D([], [], **styles[others[0]])
    legend_beside(panels[-1], handles=shown.values(), labels=shown, title="validation (dotted: training)",
                  title_fontsize=8)  # fmt: skip
    return figure
