"""Images changed at random, a whole batch at a time.

Shape letters: B batch, C channels, H height, W width; images are float (B, C, H, W), with black (0) around them.
Sources: elastic: Simard, Steinkraus and Platt 2003; erase: Zhong et al. 2017, arXiv:1708.04896.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.augment import share_of
from runner.errors import UserError


def check_images(images: Tensor, name: str) -> None:
    """Raise UserError unless this is a batch of images."""
    if images.ndim != 4 or not images.is_floating_point():
        raise UserError(
            f"augment: {name} changes images, float (batch, channels, height, width); this data has "
            f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}. Leave augment=images out."
        )


def warp(images: Tensor, grid: Tensor) -> Tensor:
    """Take each pixel from the place given by the grid (B, H, W, 2), x and y in -1 .. 1."""
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class Shift(nn.Module):
    """Move each image by whole pixels.

    Args:
        pixels: furthest in each direction, at least 0.
    """

    def __init__(self, pixels: int = 2):
        super().__init__()
        if pixels < 0:
            raise UserError(f"augment.shift.pixels must not be negative, received {pixels}")
        self.pixels = pixels

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, "Shift")
        rows, _, height, width = images.shape
        padded = F.pad(images, (self.pixels,) * 4)
        moves = torch.randint(0, 2 * self.pixels + 1, (2, rows, 1), device=images.device)
        down = torch.arange(height, device=images.device) + moves[0]  # (B, H)
        across = torch.arange(width, device=images.device) + moves[1]  # (B, W)
        row = torch.arange(rows, device=images.device)[:, None, None]
        return padded.movedim(1, -1)[row, down[:, :, None], across[:, None, :]].movedim(-1, 1)


class Rotate(nn.Module):
    """Turn each image about its centre.

    Args:
        degrees: furthest to either side, at least 0.
    """

    def __init__(self, degrees: float = 10.0):
        super().__init__()
        if degrees < 0:
            raise UserError(f"augment.rotate.degrees must not be negative, received {degrees}")
        self.degrees = degrees

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, "Rotate")
        rows, _, height, width = images.shape
        angle = (2 * torch.rand(rows, device=images.device) - 1) * math.radians(self.degrees)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # x and y of the grid run from -1 to 1 for any sides, which explains the ratios.
        turn = torch.stack([cos, -sin * height / width, zero, sin * width / height, cos, zero], dim=1)
        return warp(images, F.affine_grid(turn.view(rows, 2, 3), list(images.shape), align_corners=False))


class Elastic(nn.Module):
    """Bend each image: every pixel moves a little, neighbours in much the same direction.

    Args:
        strength: alpha of the source: pixels that a random move may have before it is smoothed, at least 0.
        smoothness: sigma of the Gaussian that smooths the moves, in pixels, above 0.
    """

    def __init__(self, strength: float = 20.0, smoothness: float = 4.0):
        super().__init__()
        if strength < 0 or smoothness <= 0:
            raise UserError(
                "augment.elastic: strength must not be negative and smoothness must be above 0, received "
                f"{strength} and {smoothness}"
            )
        self.strength = strength
        self.smoothness = smoothness

    def smoothing(self, size: int, device: torch.device) -> Tensor:
        """The matrix (size, size) that smooths a line of pixels."""
        place = torch.arange(size, device=device)
        gauss = torch.exp(-((place[:, None] - place) ** 2) / (2 * self.smoothness**2))
        return gauss / (math.sqrt(2 * math.pi) * self.smoothness)

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, "Elastic")
        rows, _, height, width = images.shape
        moves = 2 * torch.rand(2, rows, height, width, device=images.device) - 1
        moves = self.smoothing(height, images.device) @ moves @ self.smoothing(width, images.device)
        x, y = moves * self.strength * 2 / torch.tensor([width, height], device=images.device).view(2, 1, 1, 1)
        straight = torch.eye(2, 3, device=images.device).expand(rows, 2, 3)
        grid = F.affine_grid(straight, list(images.shape), align_corners=False)  # (B, H, W, 2)
        return warp(images, (grid + torch.stack([x, y], dim=-1)).to(images.dtype))


class Erase(nn.Module):
    """Cover a rectangle of some images with noise.

    Args:
        share: of the images that get a patch, in [0, 1].
        area: smallest and largest share of the image that a patch covers.
    """

    def __init__(self, share: float = 0.25, area: tuple[float, float] | list[float] = (0.02, 0.15)):
        super().__init__()
        low, high = area
        if not 0 < low <= high < 1:
            raise UserError(f"augment.erase.area needs 0 < smallest <= largest < 1, received {list(area)}")
        self.share = share_of(share, "augment.erase.share")
        self.area = (low, high)

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, "Erase")
        rows, _, height, width = images.shape
        drawn = torch.rand(5, rows, 1, device=images.device)
        low, high = self.area
        side = (low + (high - low) * drawn[0]).sqrt()  # of a square patch, as a share
        stretch = torch.exp((2 * drawn[1] - 1) * math.log(2))  # height to width: 1/4 .. 4
        tall, wide = side * stretch * height, side / stretch * width  # (B, 1)
        top, left = drawn[2] * (height - tall).clamp(min=0), drawn[3] * (width - wide).clamp(min=0)
        down = torch.arange(height, device=images.device) + 0.5
        across = torch.arange(width, device=images.device) + 0.5
        inside = ((down >= top) & (down < top + tall))[:, :, None] & ((across >= left) & (across < left + wide))[
            :, None
        ]
        covered = inside & (drawn[4] < self.share)[:, :, None]  # (B, H, W)
        return torch.where(covered[:, None], torch.rand_like(images), images)
