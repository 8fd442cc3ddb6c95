"""Two vectors a word: one as the word in the middle, one as a neighbour (Mikolov et al. 2013, arXiv:1310.4546).

Shape letters: B pairs of words, K negatives, E embedding.
"""

import torch
from torch import Tensor, nn


class WordVectors(nn.Module):
    """Maps words in the middle (B,), their neighbours (B,) and negatives (K,) to scores (B,) and (B, K).

    Args:
        vocab_size: words there are vectors for.
        embed_dim: size E of a vector.
        sparse: whether a step touches the vectors of its own words only; needs an optimizer that can do it.
    """

    def __init__(self, vocab_size: int, embed_dim: int = 16, sparse: bool = True):
        super().__init__()
        self.middle = nn.Embedding(vocab_size, embed_dim, sparse=sparse)
        self.neighbour = nn.Embedding(vocab_size, embed_dim, sparse=sparse)
        nn.init.uniform_(self.middle.weight, -0.5, 0.5)
        nn.init.normal_(self.neighbour.weight, std=0.1)

    def forward(self, middle: Tensor, neighbours: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        vectors = self.middle(middle)  # (B, E)
        return (vectors * self.neighbour(neighbours)).sum(dim=1), vectors @ self.neighbour(negatives).T

    @torch.no_grad()
    def nearest(self, word: int, words: int, count: int) -> tuple[Tensor, Tensor]:
        """Return cosines and numbers of the nearest of the first `words` words; special ones and itself left out."""
        vectors = nn.functional.normalize(self.middle.weight[:words], dim=1)
        cosines = vectors @ vectors[word]  # (words,)
        cosines[[0, 1, word]] = -2.0
        return cosines.topk(min(count, words - 3))
