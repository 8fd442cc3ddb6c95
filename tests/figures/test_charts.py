"""Charts of curves and classes: each can be drawn from the smallest and from odd inputs, and shows what it is given."""

import numpy as np
import pytest

from runner.figures import charts


def test_learning_curves(drawn):
    curves = {"train": ([1, 2, 3], [3.0, 2.0, 1.0]), "val": ([3], [2.0])}
    axes = drawn(charts.learning_curves(curves, "loss", best=3.0))
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == {"train", "val", "kept checkpoint"}
    assert list(lines["train"].get_xdata()) == [1, 2, 3] and list(lines["train"].get_ydata()) == [3.0, 2.0, 1.0]
    assert lines["kept checkpoint"].get_xdata()[0] == 3
    assert axes.get_xlabel() == "epoch" and axes.get_ylabel() == "loss"


def test_scores_by_length(drawn):
    axes = drawn(charts.scores_by_length([(1, 3, 40), (4, 4, 50)], {"bleu": [20.0, 10.0], "chrf": [9.0, 8.0]}))
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[20.0, 10.0], [9.0, 8.0]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1-3", "4"]
    counts = axes.figure.axes[1]
    assert [bar.get_height() for bar in counts.patches] == [40, 50]


def test_a_long_curve_and_no_best_step(drawn):
    steps = list(range(500))
    axes = drawn(charts.learning_curves({"train": (steps, steps)}, "loss", None))
    assert len(axes.get_lines()) == 1


def test_steps_become_epochs():
    assert charts.epochs_at([0, 5, 10, 15], [10, 20], [1.0, 2.0]) == [0, 0.5, 1, 1.5]


def test_the_title_names_the_figure_and_the_run():
    figure, _ = charts.new_figure()
    charts.entitle(figure, "samples\nvae-$5, run 1")
    assert figure.get_suptitle() == "samples\nvae-$5, run 1"
    charts.entitle(figure, "more")
    assert figure.get_suptitle() == "more\nsamples\nvae-$5, run 1"


def test_legends_lie_beside_the_plot():
    figure = charts.learning_curves({"train": ([1, 2], [3.0, 2.0])}, "loss", best=1.0)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_legend().get_window_extent().x0 > axes.get_window_extent().x1


def test_many_runs_have_ten_colours_and_one_legend(drawn):
    run = [([1.0, 2.0], [0.5, 0.4]), ([1.0, 2.0], [0.6, 0.3])]
    curves = {metric: {f"run {number}": run for number in range(25)} for metric in ("loss", "accuracy")}
    figure = charts.compared_curves(curves)
    drawn(figure)
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*(f"run {number}" for number in range(10)), "15 other runs"]
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == 11


@pytest.mark.parametrize("names", [["bad", "good"], None])
def test_confusion_matrix(drawn, names):
    axes = drawn(charts.confusion_matrix(np.array([[8, 2], [0, 0]]), names))
    assert [text.get_text() for text in axes.texts] == ["8", "2", "0", "0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == (names or ["0", "1"])
    assert axes.images[0].get_array().tolist() == [[0.8, 0.2], [0, 0]], "shares of the actual class"


def test_a_confusion_matrix_of_many_classes(drawn):
    axes = drawn(charts.confusion_matrix(np.eye(100, dtype=int), [str(n) for n in range(100)]))
    assert not axes.texts


def test_names_with_signs_that_mean_something_to_the_drawing_program(drawn):
    drawn(charts.confusion_matrix(np.eye(3, dtype=int), ["$5 to $10", "a_b", "50 %"]))


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_latent_space(drawn, dimensions):
    codes = np.random.default_rng(0).normal(size=(20, dimensions))
    axes = drawn(charts.latent_space(codes, np.arange(20) % 3))
    assert len(axes.collections[0].get_offsets()) == 20


def test_drawing_leaves_no_figure_open(drawn):
    import matplotlib.pyplot

    before = matplotlib.pyplot.get_fignums()
    drawn(charts.learning_curves({"train": ([1], [1.0])}, "loss", None))
    assert matplotlib.pyplot.get_fignums() == before
