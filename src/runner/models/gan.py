"""Generative adversarial network of dense layers: a generator of images and a discriminator that judges them.

Source: Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014, arXiv:1406.2661, sections 3 and 5 (the
perceptrons for MNIST). Departures: leaky ReLU instead of maxout in the discriminator; ReLU and batch norm in
the generator as in Radford, Metz and Chintala, 2016, arXiv:1511.06434, section 3. Without the batch norm
every noise gives the same image after a few epochs.

Packing: Lin et al. 2018, arXiv:1712.04086, section 2.

Shape letters: B batch, Z latent (noise); an image has `image_shape` = (channels, height, width).
"""

import math

from torch import Tensor, nn

from runner.models.mlp import MLP
from runner.models.ranges import check_size


class GAN(nn.Module):
    """`generator`: noise (B, Z) to images; `discriminator`: images to the logit of being real, (B,).

    Args:
        image_shape: channels, height and width of an image with pixels in 0 .. 1.
        latent_dim: numbers of noise behind an image.
        hidden_dims: units of each hidden layer of the generator; the discriminator has them in reverse.
        dropout: share of the discriminator's hidden units dropped in training, in [0, 1).
        batch_norm: whether the generator normalises over the batch.
        packing: images that the discriminator judges together.

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...],
        latent_dim: int = 64,
        hidden_dims: list[int] | tuple[int, ...] = (128, 256),
        dropout: float = 0.3,
        batch_norm: bool = True,
        packing: int = 1,
    ):
        super().__init__()
        check_size(latent_dim=latent_dim, image_shape=min(image_shape), packing=packing)
        self.latent_dim, self.packing = latent_dim, packing
        pixels = math.prod(image_shape)
        self.generator = nn.Sequential(
            MLP(latent_dim, pixels, hidden_dims, batch_norm=batch_norm),
            nn.Sigmoid(),
            nn.Unflatten(1, tuple(image_shape)),
        )
        self.discriminator = nn.Sequential(
            MLP(packing * pixels, 1, hidden_dims[::-1], activation="leaky_relu", dropout=dropout),
            nn.Flatten(0),  # (B, 1) -> (B,)
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Noise (B, Z) to images (B, *image_shape), pixels in 0 .. 1."""
        return self.generator(noise)
