"""The dense trunk of the autoencoders: from the pixels of an image to a code, and back.

Source: the course book, chapter 14, section 1: 784-512-128-64 and the same backwards, with batch normalisation (Ioffe
and Szegedy 2015, arXiv:1502.03167) of the pixels and of the last hidden layer.

Shape letters: B batch, Z latent; an image has `image_shape` = (channels, height, width).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.batch_norm import BatchNorm
from runner.models.mlp import MLP
from runner.models.ranges import check_size

EPSILON = 1e-3  # added to a variance; many pixels are the same in all images, and less than this would blow up others


class TrunkEncoder(nn.Module):
    """Pixels to some numbers.

    Args:
        image_shape: channels, height and width of an image.
        num_outputs: numbers returned for each image.
        hidden_dims: units of each hidden layer, first to last.
        batch_norm: whether the pixels are normalised over the batch.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self, image_shape: Sequence[int], num_outputs: int, hidden_dims: Sequence[int], batch_norm: bool = True
    ):
        super().__init__()
        check_size(image_shape=min(image_shape))
        pixels = math.prod(image_shape)
        self.norm = BatchNorm(pixels, eps=EPSILON) if batch_norm else nn.Identity()
        self.layers = MLP(pixels, num_outputs, list(hidden_dims))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, *image_shape) to (B, num_outputs)."""
        return self.layers(self.norm(images.flatten(1)))


class TrunkDecoder(nn.Module):
    """Codes to the logits of the pixels; of a conditional one the class of the image is known.

    Args:
        image_shape: channels, height and width of an image.
        latent_dim: numbers in a code.
        hidden_dims: units of each hidden layer, first to last.
        batch_norm: whether the last hidden layer is normalised over the batch.
        num_classes: classes of a conditional decoder, at least 0; 0 = it knows none.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        hidden_dims: Sequence[int],
        batch_norm: bool = True,
        num_classes: int = 0,
    ):
        super().__init__()
        check_size(latent_dim=latent_dim)
        self.image_shape, self.num_classes = tuple(image_shape), num_classes
        *first, last = [latent_dim + num_classes, *hidden_dims]
        self.layers = nn.Sequential(MLP(first[0], last, first[1:]), nn.ReLU()) if first else nn.Identity()
        self.norm = BatchNorm(last, eps=EPSILON) if batch_norm and hidden_dims else nn.Identity()
        self.output = nn.Linear(last, math.prod(image_shape))

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, Z) and, if it is conditional, classes (B,), int64, to logits (B, *image_shape)."""
        if self.num_classes:
            assert labels is not None, "a conditional decoder is told the class"
            codes = torch.cat([codes, F.one_hot(labels, self.num_classes).to(codes)], dim=1)  # (B, Z + K)
        return self.output(self.norm(self.layers(codes))).unflatten(1, self.image_shape)
