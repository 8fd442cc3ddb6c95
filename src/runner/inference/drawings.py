"""Images on the page of `runner demo`, without the page: drawings for a model, and what a model draws.

Shape letters: H height, W width, C channels, N images, Z latent.
"""

import base64
import io
import math
from typing import Any

import numpy as np
import torch
from PIL import Image

from runner.datamodules.parts.codecs import ImageInputs
from runner.errors import UserError
from runner.inference.predictor import Predictor
from runner.inference.trying import Answered, answered, answers_rows, cut_short, number_within, typed_text, whole_number
from runner.tasks.adversarial import Adversarial
from runner.tasks.image_codes import ImageCodes

MOST_IMAGES = 100  # drawn at once
INK = 20 / 28  # share of the side of an image that a digit takes, as in MNIST
FAINT = 16  # grey values below this are not ink
LARGEST_PAD = 2_000_000  # characters of a drawing that is sent
MOST_PIXELS = 2000  # of a side of it
EDGE = 3.0  # of the latent plane, in standard deviations of the prior


def sees_images(predictor: Predictor) -> bool:
    """Whether a drawing can be shown to it: grey images, which a person can draw."""
    inputs = predictor.data.inputs
    return isinstance(inputs, ImageInputs) and inputs.shape[0] == 1 and answers_rows(predictor)


def makes_images(predictor: Predictor) -> bool:
    """Whether it makes images of random codes."""
    task = predictor.task
    return isinstance(task, Adversarial) or (isinstance(task, ImageCodes) and task.has_prior)


def has_plane(predictor: Predictor) -> bool:
    """Whether its codes are places of a plane."""
    return makes_images(predictor) and isinstance(predictor.task, ImageCodes) and predictor.task.net.latent_dim == 2


def has_questions(predictor: Predictor) -> bool:
    """Whether it answers questions by rows; what those of images answer is files, and parts of their own show it."""
    return bool(predictor.task.questions()) and not isinstance(predictor.task, ImageCodes | Adversarial)


def classes_told(predictor: Predictor) -> list[str]:
    """The classes that a net which makes images wants to be told; usually none."""
    task = predictor.task
    conditional = isinstance(task, ImageCodes) and task.net.conditional
    return list(predictor.data.class_names or []) if conditional else []


def opened(drawing: Any) -> np.ndarray:
    """The grey values (h, w) of a pad, 255 = paper, which the browser sends as the data URL of a PNG image.

    Raises:
        UserError: it is none.
    """
    head, _, packed = typed_text(drawing, "the drawing", LARGEST_PAD).partition(",")
    try:
        if head != "data:image/png;base64":
            raise ValueError(cut_short(drawing))
        with Image.open(io.BytesIO(base64.b64decode(packed, validate=True)), formats=["PNG"]) as image:
            if max(image.size) > MOST_PIXELS:
                raise ValueError(f"{image.size[0]} x {image.size[1]} pixels")
            paper = Image.new("RGBA", image.size, "white")
            return np.asarray(Image.alpha_composite(paper, image.convert("RGBA")).convert("L"), dtype=np.float32)
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: a broken PNG
        raise UserError(f"the drawing is no PNG image that can be read: {error}") from None


def fitted_image(pad: np.ndarray, height: int, width: int, bright: bool = True) -> np.ndarray:
    """Return dark ink on a white pad as an image of the data: (H, W) grey values 0 .. 255.

    As the digits of MNIST were prepared (LeCun et al. 1998): what is drawn is scaled to 20/28 of the side, its
    proportions kept, and its centre of mass is in the middle.

    Args:
        pad: grey values 0 .. 255, (h, w), 255 = paper.
        height: of the image.
        width: of it.
        bright: whether the images of the data are bright on black, as those of MNIST; else dark on white.

    Raises:
        UserError: nothing is drawn.
    """
    ink = 255 - pad.clip(0, 255)
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise UserError("the pad is empty: draw on it with the mouse or a finger")
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(height, width) * INK / max(cut.shape)
    size = [max(round(side * scale), 1) for side in cut.shape]
    small = np.asarray(Image.fromarray(cut.astype(np.uint8)).resize(size[::-1], Image.Resampling.BOX), dtype=np.float32)
    share = small / max(small.sum(), 1)
    centre = [float((share.sum(axis=1 - axis) * np.arange(size[axis])).sum()) for axis in (0, 1)]
    placed = np.zeros((height, width), dtype=np.float32)
    begin = [
        min(max(round((full - 1) / 2 - middle), 0), full - side)
        for full, middle, side in zip((height, width), centre, size, strict=True)
    ]
    placed[begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1]] = small
    return placed if bright else 255 - placed


def seen_image(predictor: Predictor, pad: np.ndarray, bright: bool = True) -> np.ndarray:
    """A drawing as the model sees it, (H, W) grey values 0 .. 255."""
    inputs = predictor.data.inputs
    assert isinstance(inputs, ImageInputs)
    _, height, width = inputs.shape
    return fitted_image(pad, height, width, bright)


def of_image(predictor: Predictor, image: np.ndarray) -> Answered:
    """Answer an image as `predict` does."""
    return answered(predictor, {next(iter(predictor.columns)): image})


@torch.inference_mode()
def recovered(predictor: Predictor, image: np.ndarray, told: Any = None) -> np.ndarray:
    """What an autoencoder makes of an image (H, W): (C, H, W) in 0 .. 1."""
    task = predictor.task
    assert isinstance(task, ImageCodes)
    (pixels,) = task.encoded([{next(iter(predictor.columns)): image}], predictor.data)
    return task.decoded(task.net.codes(pixels), class_number(predictor, told))[0]


def class_number(predictor: Predictor, told: Any) -> torch.Tensor | None:
    """The class that a net is told, (1,), or None if it does not want one."""
    names = classes_told(predictor)
    if not names:
        return None
    if told not in names:
        raise UserError(f"the class is one of {', '.join(names)}, received {cut_short(told)}")
    return torch.tensor([names.index(told)])


def made_of(predictor: Predictor, codes: torch.Tensor, told: Any = None) -> np.ndarray:
    """Images (N, C, H, W) in 0 .. 1 of codes (N, Z), of one class if the net is told one."""
    task = predictor.task
    if isinstance(task, Adversarial):
        return task.made(codes).clip(0, 1)
    assert isinstance(task, ImageCodes)
    label = class_number(predictor, told)
    return task.decoded(codes, None if label is None else label.expand(len(codes))).clip(0, 1)


def drawn_codes(predictor: Predictor, number: int, seed: Any) -> torch.Tensor:
    """Codes (N, Z) drawn from N(0, 1), those of `predict sample=` with this seed."""
    draw = torch.Generator().manual_seed(whole_number(seed, "the seed", 0, 2**31 - 1))
    net: Any = predictor.task.net
    return torch.randn(number, net.latent_dim, generator=draw)


def drawn_images(predictor: Predictor, number: Any, seed: Any = 0, told: Any = None) -> np.ndarray:
    """Draw images side by side: (H, W) or (H, W, 3) in 0 .. 1."""
    rows = whole_number(number, "the number of images", 1, MOST_IMAGES)
    return side_by_side(made_of(predictor, drawn_codes(predictor, rows, seed), told))


def on_plane(predictor: Predictor, across: Any, up: Any, told: Any = None) -> np.ndarray:
    """The image at a place of the latent plane."""
    net: Any = predictor.task.net
    code = torch.zeros(1, net.latent_dim)
    code[0, :2] = torch.tensor(
        [number_within(across, "the place", -EDGE, EDGE), number_within(up, "the place", -EDGE, EDGE)]
    )
    return side_by_side(made_of(predictor, code, told))


def between(predictor: Predictor, one: Any, other: Any, share: Any, told: Any = None) -> np.ndarray:
    """The image on the way from the code of one seed to that of another."""
    ends = [drawn_codes(predictor, 1, seed) for seed in (one, other)]
    far = number_within(share, "the share of the way", 0, 1)
    return side_by_side(made_of(predictor, ends[0] * (1 - far) + ends[1] * far, told))


def side_by_side(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) as one, (H', W') or (H', W', 3)."""
    rows, channels, height, width = images.shape
    across = math.ceil(math.sqrt(rows))
    down = math.ceil(rows / across)
    tiles = np.ones((down * across, channels, height, width), dtype=np.float32)
    tiles[:rows] = images
    grid = tiles.reshape(down, across, channels, height, width).transpose(0, 3, 1, 4, 2)
    return grid.reshape(down * height, across * width, channels).squeeze()


def enlarged(image: np.ndarray, side: int = 320) -> np.ndarray:
    """An image in 0 .. 1 as bytes with every pixel repeated, at least `side` pixels wide if it is small."""
    times = max(round(side / max(image.shape[:2])), 1)
    return (image * 255).round().astype(np.uint8).repeat(times, axis=0).repeat(times, axis=1)
