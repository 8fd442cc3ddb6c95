"""Reconstruction: recover an image from its code, also from a damaged copy of it.

The net maps images to images of the same shape, see `runner.tasks.image_codes`. Source of denoising: Vincent et al.,
Extracting and composing robust features with denoising autoencoders, ICML 2008, doi:10.1145/1390156.1390294, section 2.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.tasks.image_codes import ImageCodes
from runner.tasks.means import Scalars


class Reconstruction(ImageCodes):
    """Mean squared error of the pixels.

    Args:
        net: maps images to images.
        image_shape: channels, height, width of an image.
        noise: standard deviation of what is added to the pixels that the net sees, at least 0.
        masked: share of the pixels that are hidden from the net, set to 0, in [0, 1).
    """

    has_prior = False
    at_use = ()

    def __init__(self, net: nn.Module, image_shape: list[int], noise: float = 0.0, masked: float = 0.0):
        super().__init__(net, image_shape)
        self.noise, self.masked = noise, masked

    def damaged(self, clean: Tensor, draw: torch.Generator | None = None) -> Tensor:
        """Images (B, *image_shape) as the net sees them: pixels hidden, noise added."""
        seen = clean
        if self.masked:
            seen = seen * (torch.rand(seen.shape, generator=draw) >= self.masked).to(seen)
        if self.noise:
            seen = seen + self.noise * torch.randn(seen.shape, generator=draw).to(seen)
        return seen

    def step(self, batch: Any) -> Scalars:
        return {"loss": F.mse_loss(self.net(self.damaged(batch[0])), batch[0])}

    def evaluation_step(self, batch: Any) -> Scalars:
        self.collect(batch, self.net.codes(batch[0]))
        return self.step(batch)

    def shown_inputs(self, seen: Tensor) -> Tensor:
        return self.damaged(seen, torch.Generator().manual_seed(0))
