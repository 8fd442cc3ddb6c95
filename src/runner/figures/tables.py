"""Figures of columns of numbers: actual, fitted and predicted values, of one model or of several."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from runner.figures.charts import legend_beside, new_figure


def fitted_curve(x: np.ndarray, truth: np.ndarray, noisy: np.ndarray, fitted: np.ndarray) -> Figure:
    """The true values, the noisy ones and the fitted ones over x, each (N,)."""
    figure, axes = new_figure()
    axes.plot(x, truth, color="tab:green", label="true")
    axes.plot(x, noisy, color="tab:blue", linewidth=0.8, marker=".", markersize=4, label="noisy")
    axes.plot(x, fitted, color="black", label="fitted")
    axes.set(xlabel="x", ylabel="y")
    legend_beside(axes)
    return figure


def predicted_against_actual(actual: np.ndarray, predicted: np.ndarray, unit: str = "") -> Figure:
    """Predicted over actual values (N, ...), with the line where both are equal; `unit` is that of the values."""
    actual, predicted = actual.ravel(), predicted.ravel()
    figure, axes = new_figure(5, 5)
    low, high = min(actual.min(), predicted.min()), max(actual.max(), predicted.max())
    axes.plot([low, high], [low, high], color="grey", linestyle=":")
    axes.scatter(actual, predicted, s=14, alpha=0.7)
    axes.set(xlabel=with_unit("actual", unit), ylabel=with_unit("predicted", unit))
    return figure


def with_unit(name: str, unit: str) -> str:
    """Return the name of an axis with the unit of its values, if they have one."""
    return f"{name} ({unit})" if unit else name


def panels_of_models(actual: np.ndarray, predicted: dict[str, np.ndarray]) -> Figure:
    """Predicted over actual values (N,), one panel a model, with the line where both are equal and the MSE."""
    figure = Figure(figsize=(3.4 * len(predicted), 3.7), layout="constrained", dpi=120)
    panels = figure.subplots(1, len(predicted), sharex=True, sharey=True, squeeze=False)[0]
    everything = np.concatenate([actual, *predicted.values()])
    ends = [everything.min(), everything.max()]
    for axes, (name, values) in zip(panels, predicted.items(), strict=True):
        axes.plot(ends, ends, color="tab:red", linewidth=1)
        axes.scatter(actual, values, s=10, alpha=0.7)
        axes.set_title(f"{name}\nMSE {((values - actual) ** 2).mean():.1f}", fontsize=10)
        axes.set_xlabel("actual")
    panels[0].set_ylabel("predicted")
    return figure


def forecast(actual: np.ndarray, predicted: np.ndarray, dates: Sequence[date] | None = None, unit: str = "") -> Figure:
    """Real values of a series and what was predicted for them one step, and D steps, before.

    Args:
        actual: (N, D).
        predicted: (N, D).
        dates: the days of the test split (N + D - 1,); None = they are not known.
        unit: of the values.
    """
    figure, axes = new_figure(9.0)
    steps, ahead = actual.shape
    places = np.arange(steps + ahead - 1) if dates is None else np.array(dates)
    axes.plot(places[:steps], actual[:, 0], color="tab:red", label="real")
    for number in sorted({1, ahead}):
        label = "predicted" if ahead == 1 else f"predicted {number} ahead"
        axes.plot(places[number - 1 :][:steps], predicted[:, number - 1], label=label)
    if dates is not None:
        axes.xaxis.set_major_formatter(ConciseDateFormatter(AutoDateLocator()))
    axes.set(xlabel="step of the test split" if dates is None else "day", ylabel=with_unit("value", unit))
    legend_beside(axes)
    return figure
