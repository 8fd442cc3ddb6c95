"""Animations that every viewer shows."""

import io

import numpy as np
from PIL import Image

from runner.figures.animation import FRAMES, animated


def test_long_ones_are_thinned_out_and_large_ones_scaled() -> None:
    frames = [np.full((40, 600, 3), number % 256, dtype=np.uint8) for number in range(2 * FRAMES)]
    with Image.open(io.BytesIO(animated(frames, 0.1))) as film:
        assert film.n_frames == FRAMES
        assert film.size == (300, 20)
        assert film.info["duration"] == 100
        assert film.info["loop"] == 0
