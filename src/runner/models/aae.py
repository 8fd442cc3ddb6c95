"""Adversarial autoencoder: a discriminator makes the codes of an autoencoder indistinguishable from the prior.

Source: Makhzani et al., Adversarial Autoencoders, 2016, arXiv:1511.05644, sections 2 and 4 (the decoder that is told
the class, so that the code holds the style alone); networks of the course book, chapter 14, section 5.

Shape letters: B batch, Z latent; an image has `image_shape` = (channels, height, width).
"""

from torch import Tensor, nn

from runner.models.layers.trunk import TrunkDecoder, TrunkEncoder
from runner.models.mlp import MLP


class AAE(nn.Module):
    """`encoder` and `decoder` of images, `discriminator` of codes: (B, Z) to the logit of coming from the prior, (B,).

    Args:
        image_shape: channels, height and width of an image with pixels in 0 .. 1.
        hidden_dims: units of each hidden layer of the encoder; the decoder has them in reverse.
        latent_dim: numbers in a code.
        discriminator_dims: units of each hidden layer of the discriminator.
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
        discriminator_dims: list[int] | tuple[int, ...] = (128, 64),
        batch_norm: bool = True,
        conditional: bool = False,
        num_classes: int = 10,
    ):
        super().__init__()
        self.latent_dim, self.conditional = latent_dim, conditional
        known = num_classes if conditional else 0
        self.encoder = TrunkEncoder(image_shape, latent_dim, hidden_dims, batch_norm)
        self.decoder = TrunkDecoder(image_shape, latent_dim, hidden_dims[::-1], batch_norm, known)
        self.discriminator = nn.Sequential(MLP(latent_dim, 1, discriminator_dims), nn.Flatten(0))

    def codes(self, images: Tensor) -> Tensor:
        """Images (B, *image_shape) to their codes (B, Z)."""
        return self.encoder(images)

    def images(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, Z), and classes (B,) of a conditional one, to images (B, *image_shape), pixels in 0 .. 1."""
        return self.decoder(codes, labels).sigmoid()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images (B, *image_shape), and classes (B,) of a conditional one, to what is recovered of them, of the same
        shape, and their codes (B, Z)."""
        codes = self.codes(images)
        return self.images(codes, labels), codes
