"""Siamese net: one net looks at two examples, and what it sees of them is compared.

Source: Gregory Koch, Richard Zemel and Ruslan Salakhutdinov, Siamese Neural Networks for One-shot Image Recognition,
ICML deep learning workshop 2015, section 3: the sum of the differences, each with a weight, decides. The course book,
chapter 13, compares by the Euclidean distance. Departures: two convolutions with batch normalisation, for images of
28 x 28 instead of 105 x 105; no sigmoid after the last layer of the net; texts too. The sigmoid over the result is part
of the loss.

Shape letters: B examples in question, N classes, K examples of each, E numbers of a place.
"""

from typing import Literal

from torch import Tensor, nn

from runner.models.layers.embedder import embedder
from runner.models.layers.embeddings import load_vectors
from runner.models.ranges import check_choice


class Siamese(nn.Module):
    """How sure the net is that an example is of the same class as others, as logits.

    Args:
        image_shape: channels, height and width of an image; None = the examples are texts.
        vocab_size: distinct tokens of texts, padding (0) included; None = the examples are images.
        latent_dim: numbers with which an example is described, E.
        num_filters: filters of each convolution over images.
        embed_dim: length of a word vector.
        dropout: share of the features dropped in training, in [0, 1).
        distance: how two descriptions are compared: difference (of each number, with a weight for each) or euclidean.

    Raises:
        ValueError: neither or both of image_shape and vocab_size, a value out of range, or an unknown distance.
    """

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...] | None = None,
        vocab_size: int | None = None,
        latent_dim: int = 128,
        num_filters: list[int] | tuple[int, ...] = (16, 32),
        embed_dim: int = 100,
        dropout: float = 0.0,
        distance: Literal["difference", "euclidean"] = "difference",
    ):
        super().__init__()
        check_choice(("difference", "euclidean"), distance=distance)
        self.encoder = embedder(image_shape, vocab_size, latent_dim, num_filters, embed_dim, dropout)
        self.distance = distance
        self.output = nn.Linear(latent_dim if distance == "difference" else 1, 1)
        nn.init.constant_(self.output.weight, -1 / self.output.in_features)  # the farther, the less the same

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """Examples (B, ...) and those of N classes to compare them with (B, N, K, ...) to logits (B, N)."""
        apart = self.encoder(query)[:, None, None] - self.encoder(support.flatten(0, 2)).unflatten(
            0, support.shape[:3]
        )  # (B, N, K, E)
        if self.distance == "euclidean":
            apart = (apart.square().sum(dim=3, keepdim=True) + 1e-8).sqrt()  # (B, N, K, 1), with a gradient at 0
        return self.output(apart.abs()).squeeze(3).mean(dim=2)  # the mean of the K comparisons

    def embed(self, examples: Tensor) -> Tensor:
        """Examples (B, ...) to their places (B, E)."""
        return self.encoder(examples)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E).

        Raises:
            ValueError: the examples are images, or the vectors do not have the length embed_dim.
        """
        if not hasattr(self.encoder, "embedding"):
            raise ValueError("this net reads images and cannot use word vectors")
        load_vectors(self.encoder.embedding, matrix)
