"""Figures: each can be drawn from the smallest and from odd inputs, and shows what it is given."""

import numpy as np
import pytest

from runner.figures import charts


def drawn(figure, tmp_path):
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 2000
    return figure.axes[0]


def test_learning_curves(tmp_path):
    curves = {"train": ([1, 2, 3], [3.0, 2.0, 1.0]), "val": ([3], [2.0])}
    axes = drawn(charts.learning_curves(curves, "loss", best_step=3), tmp_path)
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == {"train", "val", "kept checkpoint"}
    assert list(lines["train"].get_xdata()) == [1, 2, 3] and list(lines["train"].get_ydata()) == [3.0, 2.0, 1.0]
    assert lines["kept checkpoint"].get_xdata()[0] == 3
    assert axes.get_xlabel() == "optimizer step" and axes.get_ylabel() == "loss"


def test_a_long_curve_and_no_best_step(tmp_path):
    steps = list(range(500))
    axes = drawn(charts.learning_curves({"train": (steps, steps)}, "loss", None), tmp_path)
    assert len(axes.get_lines()) == 1


@pytest.mark.parametrize("names", [["bad", "good"], None])
def test_confusion_matrix(tmp_path, names):
    axes = drawn(charts.confusion_matrix(np.array([[8, 2], [0, 0]]), names), tmp_path)
    assert [text.get_text() for text in axes.texts] == ["8", "2", "0", "0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == (names or ["0", "1"])
    assert axes.images[0].get_array().tolist() == [[0.8, 0.2], [0, 0]], "shares of the actual class"


def test_a_confusion_matrix_of_many_classes(tmp_path):
    axes = drawn(charts.confusion_matrix(np.eye(100, dtype=int), [str(n) for n in range(100)]), tmp_path)
    assert not axes.texts


def test_names_with_signs_that_mean_something_to_the_drawing_program(tmp_path):
    drawn(charts.confusion_matrix(np.eye(3, dtype=int), ["$5 to $10", "a_b", "50 %"]), tmp_path)


def test_predicted_against_actual(tmp_path):
    axes = drawn(charts.predicted_against_actual(np.array([[1.0], [2.0]]), np.array([[1.5], [5.0]])), tmp_path)
    assert axes.collections[0].get_offsets().tolist() == [[1, 1.5], [2, 5]]
    assert list(axes.get_lines()[0].get_xdata()) == [1, 5]


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_latent_space(tmp_path, dimensions):
    codes = np.random.default_rng(0).normal(size=(20, dimensions))
    axes = drawn(charts.latent_space(codes, np.arange(20) % 3), tmp_path)
    assert len(axes.collections[0].get_offsets()) == 20


@pytest.mark.parametrize(("rows", "channels"), [(1, 1), (7, 1), (9, 3)])
def test_image_grid(tmp_path, rows, channels):
    images = np.full((rows, channels, 4, 5), 0.5)
    axes = drawn(charts.image_grid(images, "samples"), tmp_path)
    side = int(np.ceil(rows**0.5))
    assert axes.images[0].get_array().shape[:2] == (side * 4, side * 5)
    assert axes.get_title() == "samples"


def test_images_lie_row_by_row(tmp_path):
    images = np.arange(4)[:, None, None, None] * np.ones((1, 1, 2, 2)) / 4
    shown = drawn(charts.image_grid(images, ""), tmp_path).images[0].get_array()
    assert shown[::2, ::2].tolist() == [[0, 0.25], [0.5, 0.75]]


def test_drawing_leaves_no_figure_open(tmp_path):
    import matplotlib.pyplot

    before = matplotlib.pyplot.get_fignums()
    drawn(charts.learning_curves({"train": ([1], [1.0])}, "loss", None), tmp_path)
    assert matplotlib.pyplot.get_fignums() == before
