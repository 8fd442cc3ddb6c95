"""Variational autoencoder: a Gaussian code, dense layers, Bernoulli pixels.

Source: Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014, arXiv:1312.6114, section 3 and
appendix C. Departures: ReLU instead of tanh, and any number of hidden layers.

In training the code is sampled; in evaluation it is the mean, so that the same image always gives the same
answer. For the bound of section 2.2 itself on unseen data, draw the code with `sample`.

Shape letters: B batch, Z latent; an image has `image_shape` = (channels, height, width).
"""

import math

import torch
from torch import Tensor, nn

from runner.models.mlp import MLP
from runner.models.ranges import check_size


class VAE(nn.Module):
    """Encoder from images to codes and decoder from codes to images.

    Args:
        image_shape: channels, height and width of an image with pixels in 0 .. 1.
        hidden_dims: units of each hidden layer of the encoder; the decoder has them in reverse.
        latent_dim: numbers in a code.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...],
        hidden_dims: list[int] | tuple[int, ...] = (512, 128, 64),
        latent_dim: int = 2,
    ):
        super().__init__()
        check_size(latent_dim=latent_dim, image_shape=min(image_shape))
        self.image_shape = tuple(image_shape)
        self.latent_dim = latent_dim
        pixels = math.prod(image_shape)
        self.encoder = MLP(pixels, 2 * latent_dim, hidden_dims)
        self.decoder = MLP(latent_dim, pixels, hidden_dims[::-1])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, *image_shape) to the mean and the log-variance of their codes, each (B, Z)."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        return mean, log_var

    def sample(self, mean: Tensor, log_var: Tensor) -> Tensor:
        """Draw codes (B, Z) such that gradients reach mean and log-variance (section 2.4)."""
        return mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)

    def decode(self, z: Tensor) -> Tensor:
        """Codes (B, Z) to the logits of the pixels, (B, *image_shape); their sigmoid is the image."""
        return self.decoder(z).unflatten(1, self.image_shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, *image_shape) to pixel logits of that shape, and mean and log-variance of the code, each
        (B, Z)."""
        mean, log_var = self.encode(x)
        z = self.sample(mean, log_var) if self.training else mean  # (B, Z)
        return self.decode(z), mean, log_var
