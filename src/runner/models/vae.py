"""Variational autoencoder: a Gaussian code, dense layers; the class of the image may be known to the decoder.

Source: Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014, arXiv:1312.6114, section 3 and
appendix C; conditional: Sohn, Lee and Yan, NeurIPS 2015, section 4; sizes of the course book, chapter 14. Departures:
ReLU and batch normalisation instead of tanh, any number of hidden layers; of a conditional one only the decoder is told
the class, so that an image can be encoded whose class is not known.

In training the code is sampled; in evaluation it is the mean, so that the same image always gives the same
answer. For the bound of section 2.2 itself on unseen data, draw the code with `sample`.

Shape letters: B batch, Z latent; an image has `image_shape` = (channels, height, width).
"""

import torch
from torch import Tensor, nn

from runner.models.layers.trunk import TrunkDecoder, TrunkEncoder
from runner.models.ranges import check_size


class VAE(nn.Module):
    """Encoder from images to codes and decoder from codes to images.

    Args:
        image_shape: channels, height and width of an image with pixels in 0 .. 1.
        hidden_dims: units of each hidden layer of the encoder; the decoder has them in reverse.
        latent_dim: numbers in a code.
        batch_norm: whether pixels and last hidden layer are normalised over the batch.
        conditional: whether the decoder is told the class of the image.
        num_classes: classes of the data; only a conditional one needs them.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...],
        hidden_dims: list[int] | tuple[int, ...] = (512, 128, 64),
        latent_dim: int = 2,
        batch_norm: bool = True,
        conditional: bool = False,
        num_classes: int = 10,
    ):
        super().__init__()
        check_size(latent_dim=latent_dim)
        self.latent_dim, self.conditional = latent_dim, conditional
        known = num_classes if conditional else 0
        self.encoder = TrunkEncoder(image_shape, 2 * latent_dim, hidden_dims, batch_norm)
        self.decoder = TrunkDecoder(image_shape, latent_dim, hidden_dims[::-1], batch_norm, known)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, *image_shape) to the mean and the log-variance of their codes, each (B, Z)."""
        mean, log_var = self.encoder(images).chunk(2, dim=1)
        return mean, log_var

    def sample(self, mean: Tensor, log_var: Tensor) -> Tensor:
        """Draw codes (B, Z) such that gradients reach mean and log-variance (section 2.4)."""
        return mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, Z), and classes (B,) of a conditional one, to the logits of the pixels, (B, *image_shape)."""
        return self.decoder(codes, labels)

    def codes(self, images: Tensor) -> Tensor:
        """Images (B, *image_shape) to the means of their codes, (B, Z)."""
        return self.encode(images)[0]

    def images(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, Z), and classes (B,) of a conditional one, to images (B, *image_shape), pixels in 0 .. 1."""
        return self.decode(codes, labels).sigmoid()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, *image_shape), and classes (B,) of a conditional one, to pixel logits of that shape, and mean and
        log-variance of the code, each (B, Z)."""
        mean, log_var = self.encode(images)
        codes = self.sample(mean, log_var) if self.training else mean  # (B, Z)
        return self.decode(codes, labels), mean, log_var
