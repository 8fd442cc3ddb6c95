"""Nets that place an image or a text in a space in which examples are compared.

Shape letters: B episodes, Q examples in question, N classes, K examples of each, E numbers of a place.
"""

from torch import Tensor, nn

from runner.models.cnn import CNN
from runner.models.fasttext import FastText
from runner.models.ranges import check_size


def embedder(
    image_shape: list[int] | tuple[int, ...] | None,
    vocab_size: int | None,
    latent_dim: int,
    num_filters: list[int] | tuple[int, ...],
    embed_dim: int,
    dropout: float,
) -> tuple[nn.Module, int]:
    """Return a net from images (B, C, H, W) to places (B, E), or one from tokens (B, T), and E.

    Images go through convolutions, each normalised and pooled; a text is its mean word vector, and a linear layer.

    Args:
        image_shape: channels, height and width; None = the examples are texts.
        vocab_size: distinct tokens; None = the examples are images.
        latent_dim: numbers of the place of a text.
        num_filters: filters of each convolution over images.
        embed_dim: length of a word vector.
        dropout: share of the features dropped in training, before the last layer.

    Raises:
        ValueError: neither or both of image_shape and vocab_size, or a size below 1.
    """
    check_size(latent_dim=latent_dim, embed_dim=embed_dim)
    if image_shape is not None and vocab_size is None:
        # Without a dense layer, which on few classes learns these classes instead of what makes two images alike.
        maps = CNN(image_shape, 1, num_filters, 3, 1, batch_norm=True)
        return nn.Sequential(maps.features, nn.Flatten(), nn.Dropout(dropout)), maps.dense.in_features
    if vocab_size is not None and image_shape is None:
        return FastText(vocab_size, latent_dim, embed_dim, max_ngram=1, dropout=dropout), latent_dim
    raise ValueError(
        f"one of image_shape (images) and vocab_size (texts) is needed, received {image_shape} and {vocab_size}"
    )


class Comparing(nn.Module):
    """What nets share that compare examples with others, whatever they make of the places.

    Args:
        encoder: examples (B, ...) to places (B, E).
    """

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def places(self, query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        """Examples (B, Q, ...) and K of each of N classes (B, N, K, ...) to places (B, Q, E) and (B, N, K, E)."""
        asked = self.encoder(query.flatten(0, 1)).unflatten(0, query.shape[:2])  # (B, Q, E)
        shown = self.encoder(support.flatten(0, 2)).unflatten(0, support.shape[:3])  # (B, N, K, E)
        return asked, shown

    def embed(self, examples: Tensor) -> Tensor:
        """Examples (B, ...) to their places (B, E)."""
        return self.encoder(examples)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E).

        Raises:
            ValueError: the examples are images, or the vectors do not have the length embed_dim.
        """
        if not isinstance(self.encoder, FastText):
            raise ValueError("this net reads images and cannot use word vectors")
        self.encoder.load_vectors(matrix)
