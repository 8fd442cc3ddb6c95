"""Skip-gram: vectors that tell the neighbours of a word from other words.

Source: Tomas Mikolov et al., Efficient Estimation of Word Representations in Vector Space, 2013, arXiv:1301.3781,
section 3.2, and Distributed Representations of Words and Phrases and their Compositionality, 2013, arXiv:1310.4546,
equations 3 (hierarchical softmax) and 4 (negative sampling). Departure: the words of a row share their negatives, which
are weighted as if each pair had its own. As in the authors' program, with hierarchical softmax each neighbour predicts
the word in the middle: the pairs are the same.

Shape letters: B rows, T words of a row, W most neighbours to a side, S = T + 2 W words seen, K negatives,
E embedding, L decisions of the longest path in the tree.
"""

import torch
from torch import Tensor

from runner.models.layers.word_tables import WordTables, around, middle, with_negatives


class SkipGram(WordTables):
    """Scores of the words around a word; see `WordTables`.

    Args:
        vocab_size: distinct words, padding (0) included.
        embed_dim: length of a vector.
        negatives: how much the negatives count, in negatives for each pair.
        hierarchical: whether a word is predicted by decisions in a binary tree instead of by comparison with negatives.
        sparse: whether a step touches only the vectors of its own words; needs an optimizer that can do it.
    """

    def forward(self, words: Tensor, negatives: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Words (B, S) and negatives (B, K), int64, neighbours (B, T, S), bool, to scores and answers of one shape.

        An answer says how often "yes" is right (above 0) or "no" (below 0); 0 does not count. The shape is
        (B, T, S + K), or (B, T, L, 2 W + 1) with the tree.
        """
        centres = middle(words, neighbours)  # (B, T)
        if self.tree is not None:
            return self.decisions(words, centres, around(neighbours))
        others = self.outputs(torch.cat([words, negatives], dim=1))  # (B, S + K, E)
        scores = self.words(centres) @ others.transpose(1, 2)  # (B, T, S + K)
        right = neighbours.to(scores.dtype)
        return scores, with_negatives(right, right.sum(2, keepdim=True), negatives.size(1), self.negatives)

    def decisions(self, words: Tensor, centres: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and answers (B, T, L, 2 W + 1) of the decisions on the way to each word of the middle (B, T)."""
        assert self.tree is not None
        nodes, signs = self.tree(centres)  # (B, T, L)
        inputs = self.words(words).unfold(1, neighbours.size(2), 1)  # (B, T, E, 2 W + 1)
        return self.outputs(nodes) @ inputs, signs.unsqueeze(3) * neighbours.unsqueeze(2)
