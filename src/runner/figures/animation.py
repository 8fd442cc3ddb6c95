"""Pictures that follow one another, as an animated GIF."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH = 300  # pixels of an animation at most
FRAMES = 250  # of an animation at most; of a longer one every second, third ... is left out
FRAME_SECONDS = 0.04  # browsers show none for a shorter time
PAGE_SECONDS = 0.4  # of figures that are looked at one by one


def animated(frames: Sequence[np.ndarray], frame_seconds: float = FRAME_SECONDS) -> bytes:
    """Return the file of an animation that is shown again and again.

    Args:
        frames: pictures (H, W, 3), 0 .. 255, all of one size.
        frame_seconds: how long each is shown.
    """
    height, width = frames[0].shape[:2]
    size = min(width, WIDTH), height * min(width, WIDTH) // width
    kept = frames[:: -(-len(frames) // FRAMES)]
    first, *others = [Image.fromarray(frame).resize(size).quantize(64) for frame in kept]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=round(1000 * frame_seconds), loop=0)
    return file.getvalue()


def animate(folder: Path, target: Path) -> None:
    """Write the pictures of a folder, in the order of their names, as one animation; a single one does not move."""
    files = sorted(folder.glob("*.png"))
    if len(files) > 1:
        target.write_bytes(animated([np.asarray(Image.open(file).convert("RGB")) for file in files], PAGE_SECONDS))
