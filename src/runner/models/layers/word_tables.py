"""What CBOW and skip-gram share: two vectors a word, and how the words around it are asked for.

Shape letters: B rows, T words of a row, W most neighbours to a side, S = T + 2 W words seen, K negatives,
E embedding, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.huffman import HuffmanTree
from runner.models.ranges import check_size


class WordTables(nn.Module):
    """A table of the vectors that are kept, and one of those that words, or nodes of a tree, are predicted with.

    Args:
        vocab_size: distinct words V, padding (0) included.
        embed_dim: length E of a vector.
        negatives: how much the negatives count, in negatives for each pair.
        hierarchical: whether a word is predicted by decisions in a binary tree instead of by comparison with negatives.
        sparse: whether a step touches only the vectors of its own words; needs an optimizer that can do it.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int = 100,
        negatives: float = 5,
        hierarchical: bool = False,
        sparse: bool = True,
    ):
        super().__init__()
        check_size(minimum=2, vocab_size=vocab_size)
        check_size(embed_dim=embed_dim)
        if negatives <= 0:
            raise ValueError(f"negatives must be above 0, received {negatives}")
        self.negatives = negatives
        self.tree = HuffmanTree(vocab_size) if hierarchical else None
        self.words = nn.Embedding(vocab_size, embed_dim, sparse=sparse)
        self.outputs = nn.Embedding(vocab_size - hierarchical, embed_dim, sparse=sparse)
        nn.init.uniform_(self.words.weight, -0.5 / embed_dim, 0.5 / embed_dim)  # as in the authors' program
        nn.init.zeros_(self.outputs.weight)

    def use_counts(self, counts: Tensor) -> None:
        """Take how often each word occurs in training, (V,) or fewer; the tree, if there is one, follows from it."""
        if self.tree is not None:
            rare = counts.new_zeros(self.words.num_embeddings)
            rare[: len(counts)] = counts
            self.tree.plant(rare)

    def word_vectors(self) -> Tensor:
        """The vectors of all words, (V, E)."""
        return self.words.weight.detach()


def middle(words: Tensor, neighbours: Tensor) -> Tensor:
    """The words (B, T) in the middle of a row (B, S)."""
    length = neighbours.size(1)
    margin = (words.size(1) - length) // 2
    return words[:, margin : margin + length]


def around(neighbours: Tensor) -> Tensor:
    """Which neighbours (B, T, S) each word has, by their place from W before to W after it: (B, T, 2 W + 1).

    Row t of a matrix (T, S) begins at place t; in rows that are one longer, all begin at place 0.
    """
    batch, length, seen = neighbours.shape
    return F.pad(neighbours.flatten(1), (0, length)).view(batch, length, seen + 1)[:, :, : seen - length + 1]


def with_negatives(right: Tensor, weight: Tensor, negatives: int, count: float) -> Tensor:
    """Answers to scores of words (B, T, X) and negatives (B, T, K).

    Args:
        right: how much each word counts, (B, T, X).
        weight: how many pairs each row has, (B, T, 1).
        negatives: K.
        count: negatives for each pair, which the K of a row stand for.
    """
    wrong = weight * (-count / max(negatives, 1))
    return torch.cat([right, wrong.expand(-1, -1, negatives)], dim=2)
