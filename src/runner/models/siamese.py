"""Siamese net: one net looks at two examples, and what it sees of them is compared.

Source: Gregory Koch, Richard Zemel and Ruslan Salakhutdinov, Siamese Neural Networks for One-shot Image Recognition,
ICML deep learning workshop 2015, section 3: the sum of the differences, each with a weight, decides. The course book,
chapter 13, compares by the Euclidean distance. Departures: two convolutions with batch normalisation, for images of
28 x 28 instead of 105 x 105; no sigmoid after the last layer of the net; texts too. The sigmoid over the result is part
of the loss.

Shape letters: B episodes, Q examples in question, N classes, K examples of each, E numbers of a place.
"""

from typing import Literal

from torch import Tensor, nn

from runner.models.layers.embedder import Comparing, embedder
from runner.models.ranges import check_choice

STEEP, USUAL = 5.0, 0.6  # how the probability falls with the mean distance, and the distance where it begins at 1/2
TINY = 1e-8  # keeps the gradient of a root finite


class Siamese(Comparing):
    """How sure the net is that an example is of the same class as others, as logits.

    Args:
        image_shape: channels, height and width of an image; None = the examples are texts.
        vocab_size: distinct tokens of texts, padding (0) included; None = the examples are images.
        latent_dim: numbers with which a text is described, E; an image by all that the last convolution says.
        num_filters: filters of each convolution over images.
        embed_dim: length of a word vector.
        dropout: share of the features dropped in training, in [0, 1).
        distance: how two descriptions are compared: euclidean, or difference (of each number, with a weight for each).

    Raises:
        ValueError: neither or both of image_shape and vocab_size, a value out of range, or an unknown distance.
    """

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...] | None = None,
        vocab_size: int | None = None,
        latent_dim: int = 128,
        num_filters: list[int] | tuple[int, ...] = (16, 32, 32),
        embed_dim: int = 100,
        dropout: float = 0.0,
        distance: Literal["euclidean", "difference"] = "euclidean",
    ):
        check_choice(("difference", "euclidean"), distance=distance)
        encoder, latent_dim = embedder(image_shape, vocab_size, latent_dim, num_filters, embed_dim, dropout)
        super().__init__(encoder)
        self.distance = distance
        numbers = 1 if distance == "euclidean" else latent_dim
        self.output = nn.Linear(numbers, 1)
        # The farther apart, the less the same; at a usual distance undecided, or all descriptions would become one.
        nn.init.constant_(self.output.weight, -STEEP / numbers)
        nn.init.constant_(self.output.bias, STEEP * USUAL)

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """Examples (B, Q, ...) and K of each of N classes (B, N, K, ...) to logits (B, Q, N)."""
        asked, shown = self.places(query, support)  # (B, Q, E), (B, N, K, E)
        apart = asked[:, :, None, None] - shown.unsqueeze(1)  # (B, Q, N, K, E)
        if self.distance == "euclidean":
            apart = (apart.square().mean(dim=4, keepdim=True) + TINY).sqrt()  # (B, Q, N, K, 1)
        return self.output(apart.abs()).squeeze(4).mean(dim=3)  # the mean of the K comparisons
