"""Figures made of images show them where they belong."""

import numpy as np
import pytest
import torch

from runner.figures.images import Mistakes, image_columns, image_figures, image_grid
from runner.models.cnn import CNN
from runner.models.mlp import MLP


@pytest.mark.parametrize(("rows", "channels"), [(1, 1), (7, 1), (9, 3)])
def test_image_grid(drawn, rows, channels):
    images = np.full((rows, channels, 4, 5), 0.5)
    axes = drawn(image_grid(images, "samples"))
    side = int(np.ceil(rows**0.5))
    assert axes.images[0].get_array().shape[:2] == (side * 4, side * 5)
    assert axes.get_title() == "samples"


def test_images_lie_row_by_row(drawn):
    images = np.arange(4)[:, None, None, None] * np.ones((1, 1, 2, 2)) / 4
    shown = drawn(image_grid(images, "")).images[0].get_array()
    assert shown[::2, ::2].tolist() == [[0, 0.25], [0.5, 0.75]]


def test_mistakes_of_images_are_shown_and_others_passed_over():
    mistakes = Mistakes()
    mistakes.update((torch.rand(4, 7),), torch.zeros(4), torch.ones(4))
    assert image_figures(MLP(7, 2), mistakes) == {}
    images, target = torch.rand(50, 1, 8, 8), torch.arange(50) % 2
    mistakes.update((images,), torch.zeros(50, dtype=torch.int64), target)
    assert len(mistakes.found) == 25 and all(actual == 1 for _, _, actual in mistakes.found)
    for net in (MLP(64, 2, [5]), CNN([1, 8, 8], 2, [4], 3, 8)):
        assert set(image_figures(net, mistakes, ["no", "yes"])) == {"misclassified", "first_layer_filters"}
    mistakes.reset()
    assert mistakes.shape is None and not mistakes.found


def test_rows_of_images_that_belong_together(drawn):
    images = np.arange(6)[:, None, None, None].reshape(3, 2, 1, 1, 1) / 6
    shown = drawn(image_columns(images, ["one", "two"])).images[0].get_array()
    assert shown.shape == (2, 3) and (shown * 6).round().tolist() == [[0, 2, 4], [1, 3, 5]]
