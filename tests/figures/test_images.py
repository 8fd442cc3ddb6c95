"""Figures made of images show them where they belong."""

import numpy as np
import pytest

from runner.figures.images import image_grid


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
