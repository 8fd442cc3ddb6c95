"""Prototypical net: a class is the mean of its few examples, and the nearest class is the answer.

Source: Jake Snell, Kevin Swersky and Richard Zemel, Prototypical Networks for Few-shot Learning, NIPS 2017,
arXiv:1703.05175, equations 1 and 2 with the squared Euclidean distance. Departures: three convolutions instead of
four, for images of 28 x 28; texts too.

Shape letters: B episodes, Q examples in question, N classes, K examples of each, E numbers of a place.
"""

from torch import Tensor

from runner.models.layers.embedder import Comparing, embedder


class Prototypical(Comparing):
    """How near an example is to each class, as logits.

    Args:
        image_shape: channels, height and width of an image; None = the examples are texts.
        vocab_size: distinct tokens of texts, padding (0) included; None = the examples are images.
        latent_dim: numbers of the place of a text, E; an image has all that the last convolution says.
        num_filters: filters of each convolution over images.
        embed_dim: length of a word vector.
        dropout: share of the features dropped in training, in [0, 1).

    Raises:
        ValueError: neither or both of image_shape and vocab_size, or a value out of range.
    """

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...] | None = None,
        vocab_size: int | None = None,
        latent_dim: int = 64,
        num_filters: list[int] | tuple[int, ...] = (16, 32, 32),
        embed_dim: int = 100,
        dropout: float = 0.0,
    ):
        super().__init__(embedder(image_shape, vocab_size, latent_dim, num_filters, embed_dim, dropout)[0])

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """Examples (B, Q, ...) and K of each of N classes (B, N, K, ...) to logits (B, Q, N)."""
        asked, shown = self.places(query, support)  # (B, Q, E), (B, N, K, E)
        prototypes = shown.mean(dim=2)  # (B, N, E)
        return -(asked.unsqueeze(2) - prototypes.unsqueeze(1)).square().sum(dim=3)
