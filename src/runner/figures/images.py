"""Figures made of images: many in a grid, those a classifier gets wrong, what its first layer looks for.

A task keeps a `Mistakes`, shows it every test batch, and adds `image_figures(...)` to its figures. Inputs that are not
images are ignored, so a task need not know what it classifies.

Shape letters: B batch, C channels, H height, W width, N filters.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn

from runner.errors import UserError
from runner.figures.charts import new_figure

MOST_MISTAKES = 30
MOST_FILTERS = 64


class Mistakes:
    """The first wrongly classified images of a split.

    Attributes:
        shape: channels, height and width of the images seen, or None if none was.
        found: image (C, H, W), predicted class and actual class of each.
    """

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        self.shape: tuple[int, ...] | None = None
        self.found: list[tuple[np.ndarray, int, int]] = []

    def update(self, inputs: tuple, predicted: Tensor, target: Tensor) -> None:
        """Look at the inputs of a batch, the classes predicted (B,) and the actual ones (B,)."""
        images = inputs[0]
        if len(inputs) != 1 or images.ndim != 4 or images.shape[1] not in (1, 3):
            return
        self.shape = tuple(images.shape[1:])
        room = MOST_MISTAKES - len(self.found)
        if room <= 0:
            return
        for place in (predicted != target).nonzero()[:room, 0].tolist():
            image = images[place].detach().float().cpu().numpy()
            self.found.append((image, int(predicted[place]), int(target[place])))


def image_figures(net: nn.Module, mistakes: Mistakes, names: list[str] | None = None) -> dict[str, Figure]:
    """Return the figures that images allow, by name; none if no images were seen.

    Args:
        net: the classifier; one with `first_layer_filters() -> (N, C, h, w)`, or (N, C * H * W) for a dense first
            layer, shows them.
        mistakes: what was collected on the test split.
        names: of the classes.
    """
    drawn: dict[str, Figure] = {}
    if mistakes.shape is None:
        return drawn
    if mistakes.found:
        drawn["misclassified"] = misclassified(mistakes.found, names)
    first_layer = getattr(net, "first_layer_filters", None)
    if first_layer is not None:
        filters: Tensor = first_layer().detach().float().cpu()
        if filters.ndim == 2 and filters.shape[1] == math.prod(mistakes.shape):
            filters = filters.reshape(-1, *mistakes.shape)
        if filters.ndim == 4:
            drawn["first_layer_filters"] = first_layer_filters(filters)
    return drawn


def image_grid(images: np.ndarray, title: str, across: int | None = None) -> Figure:
    """Images (N, C, H, W) in 0 .. 1 side by side, `across` in a row; None = in a square."""
    rows, channels, height, width = images.shape
    across = across or math.ceil(math.sqrt(rows))
    down = across if across**2 < rows + across else math.ceil(rows / across)
    tiles = np.ones((down * across, channels, height, width))
    tiles[:rows] = images
    grid = tiles.reshape(down, across, channels, height, width).transpose(0, 3, 1, 4, 2)
    grid = grid.reshape(down * height, across * width, channels)
    figure, axes = new_figure(6, max(6 * down * height / (across * width), 1.2))
    axes.imshow(grid.squeeze(-1) if channels == 1 else grid, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    axes.set_title(title)
    return figure


def image_columns(images: np.ndarray, names: list[str]) -> Figure:
    """Images (N, R, C, H, W) in 0 .. 1, a column for each of N and a row for each of R, which `names` names."""
    columns, rows = images.shape[:2]
    ordered = np.moveaxis(images, 1, 0).reshape(rows * columns, *images.shape[2:])
    return image_grid(ordered, "from the top: " + ", ".join(names), across=columns)


def grey_values(file: Path) -> np.ndarray:
    """The grey values 0 .. 255 of an image file, (height, width).

    Raises:
        UserError: it is not an image.
    """
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UserError(f"{file} is not an image that can be read: {error}") from None


def misclassified(found: list[tuple[np.ndarray, int, int]], names: list[str] | None) -> Figure:
    """Images (C, H, W) with the predicted and the actual class above each."""

    def name(number: int) -> str:
        return names[number] if names else str(number)

    panels, figure = panels_in_a_square(len(found), 1.15, 1.45)
    for axes, (image, predicted, actual) in zip(panels, found, strict=False):
        axes.imshow(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(f"{name(predicted)}, not {name(actual)}", fontsize=7)
    figure.suptitle("predicted, not actual", fontsize=9)
    return figure


def first_layer_filters(filters: Tensor) -> Figure:
    """Filters (N, C, h, w): red is positive, blue negative, of several channels the mean."""
    kept = filters[:MOST_FILTERS]
    panels, figure = panels_in_a_square(len(kept), 0.8, 0.8)
    largest = float(kept.abs().max()) or 1.0
    for axes, kernel in zip(panels, kept.mean(dim=1), strict=False):
        axes.imshow(kernel.numpy(), cmap="RdBu_r", vmin=-largest, vmax=largest)
    if len(filters) > len(kept):
        figure.suptitle(f"first {len(kept)} of {len(filters)}", fontsize=9)
    return figure


def panels_in_a_square(count: int, width: float, height: float) -> tuple[list[Any], Figure]:
    """Panels without axes in a square, each `width` inches wide and `height` inches high."""
    across = math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    figure = Figure(figsize=(max(across * width, 3), max(down * height, 2) + 0.3), layout="constrained", dpi=120)
    panels = list(figure.subplots(down, across, squeeze=False).ravel())
    for axes in panels:
        axes.set_axis_off()
    return panels, figure
