"""Autoencoder: an image is squeezed into a few numbers, its code, and recovered from them.

Source: Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks, Science 313, 2006,
doi:10.1126/science.1127647; sizes of the course book, chapter 14, section 1 (784-512-128-64-2 and back). Departures
from the paper: trained at once instead of layer by layer, with ReLU and batch normalisation.

Shape letters: B batch, Z latent; an image has `image_shape` = (channels, height, width).
"""

from torch import Tensor, nn

from runner.models.layers.trunk import TrunkDecoder, TrunkEncoder


class Autoencoder(nn.Module):
    """Encoder from images to codes and decoder from codes to images.

    Args:
        image_shape: channels, height and width of an image with pixels in 0 .. 1.
        hidden_dims: units of each hidden layer of the encoder; the decoder has them in reverse.
        latent_dim: numbers in a code.
        batch_norm: whether pixels and last hidden layer are normalised over the batch.

    Raises:
        ValueError: a size below 1.
    """

    conditional = False  # whether the decoder is told the class

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...],
        hidden_dims: list[int] | tuple[int, ...] = (512, 128, 64),
        latent_dim: int = 2,
        batch_norm: bool = True,
    ):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = TrunkEncoder(image_shape, latent_dim, hidden_dims, batch_norm)
        self.decoder = TrunkDecoder(image_shape, latent_dim, hidden_dims[::-1], batch_norm)

    def codes(self, images: Tensor) -> Tensor:
        """Images (B, *image_shape) to their codes (B, Z)."""
        return self.encoder(images)

    def images(self, codes: Tensor) -> Tensor:
        """Codes (B, Z) to images (B, *image_shape), pixels in 0 .. 1."""
        return self.decoder(codes).sigmoid()

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, *image_shape) to what is recovered of them, of the same shape."""
        return self.images(self.codes(images))
