"""Animations that every viewer shows."""

import io

import numpy as np
from PIL import Image

from runner.figures.animation import FRAMES, animate, animated


def test_long_ones_are_thinned_out_and_large_ones_scaled() -> None:
    frames = [np.full((40, 600, 3), number % 256, dtype=np.uint8) for number in range(2 * FRAMES)]
    with Image.open(io.BytesIO(animated(frames, 0.1))) as film:
        assert film.n_frames == FRAMES
        assert film.size == (300, 20)
        assert film.info["duration"] == 100
        assert film.info["loop"] == 0


def test_pictures_of_a_folder_become_one_that_moves(tmp_path):
    for number in (2, 1, 3):
        Image.new("L", (8, 8), number * 80).save(tmp_path / f"{number:04d}.png")
    animate(tmp_path, tmp_path / "all.gif")
    with Image.open(tmp_path / "all.gif") as moving:
        shades = []
        for number in range(moving.n_frames):
            moving.seek(number)
            shades.append(moving.convert("L").getpixel((0, 0)))
    assert shades == [80, 160, 240]
