"""Drawings as the pad of the page of `runner demo` sends them."""

import base64
import io

import numpy as np
from PIL import Image, ImageDraw


def drawn(place: int = 0) -> np.ndarray:
    """A seven on a pad of 280 x 280 pixels, moved down and right by `place`."""
    pad = Image.new("L", (280, 280), 255)
    strokes = [(80 + place, 70 + place), (160 + place, 70 + place), (110 + place, 200 + place)]
    ImageDraw.Draw(pad).line(strokes, fill=0, width=22, joint="curve")
    return np.asarray(pad)


def sent(pad: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pad).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
