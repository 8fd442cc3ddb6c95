"""Embeddings of words that may start from pretrained vectors.

Shape letters: V words, E numbers of a vector.
"""

import torch
from torch import Tensor, nn

RANGE = 0.25  # of the initial numbers, as in Kim's own code; torch's N(0, 1) costs about three points of accuracy


def word_embedding(vocab_size: int, embed_dim: int, reach: float = RANGE) -> nn.Embedding:
    """An embedding drawn from U(-reach, reach); the vector of the padding (token 0) is zero and stays so."""
    embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
    nn.init.uniform_(embedding.weight[1:], -reach, reach)
    return embedding


@torch.no_grad()
def load_vectors(embedding: nn.Embedding | nn.EmbeddingBag, matrix: Tensor) -> None:
    """Start with these vectors (V, E); an embedding with room for more words keeps its own vectors for the rest.

    Raises:
        ValueError: the vectors do not have the length of the embedding, or there are too many.
    """
    rows, size = embedding.weight.shape
    if matrix.size(1) != size:
        raise ValueError(
            f"the word vectors have {matrix.size(1)} numbers, those of the net {size}: set "
            f"model.embed_dim={matrix.size(1)}"
        )
    if len(matrix) > rows:
        raise ValueError(f"there are vectors for {len(matrix)} words, but the net has room for {rows}")
    embedding.weight[: len(matrix)] = matrix
