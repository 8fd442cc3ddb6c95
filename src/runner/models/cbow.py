"""CBOW, the continuous bag of words: vectors whose mean over the neighbours of a word predicts it.

Source: Tomas Mikolov et al., Efficient Estimation of Word Representations in Vector Space, 2013, arXiv:1301.3781,
section 3.1; hierarchical softmax and negative sampling as in arXiv:1310.4546, equations 3 and 4. Departure: the words
of a row share their negatives, which are weighted as if each word had its own. As in the authors' program, each
neighbour gets the whole gradient of the mean, not its share of it.

Shape letters: B rows, T words of a row, S words seen, K negatives, E embedding, L decisions of the longest path.
"""

import torch
from torch import Tensor

from runner.models.layers.word_tables import WordTables, middle, with_negatives


class CBOW(WordTables):
    """Scores of a word from the mean of its neighbours; see `WordTables`.

    Args:
        vocab_size: distinct words, padding (0) included.
        embed_dim: length of a vector.
        negatives: how much the negatives count, in negatives for each word.
        hierarchical: whether a word is predicted by decisions in a binary tree instead of by comparison with negatives.
        sparse: whether a step touches only the vectors of its own words; needs an optimizer that can do it.
    """

    def forward(self, words: Tensor, negatives: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Words (B, S) and negatives (B, K), int64, neighbours (B, T, S), bool, to scores and answers of one shape.

        An answer says how often "yes" is right (above 0) or "no" (below 0); 0 does not count. The shape is
        (B, T, 1 + K), or (B, T, L) with the tree.
        """
        centres = middle(words, neighbours)  # (B, T)
        near = neighbours.to(self.words.weight.dtype)
        count = near.sum(2, keepdim=True)  # (B, T, 1)
        total = near @ self.words(words)  # (B, T, E)
        context = total + (total / count.clamp(min=1) - total).detach()  # the mean, whose whole gradient each word gets
        some = (count > 0).to(context.dtype)  # (B, T, 1)
        if self.tree is not None:
            nodes, signs = self.tree(centres)  # (B, T, L)
            return (self.outputs(nodes) @ context.unsqueeze(3)).squeeze(3), signs * some
        right = (context * self.outputs(centres)).sum(2, keepdim=True)  # (B, T, 1)
        wrong = context @ self.outputs(negatives).transpose(1, 2)  # (B, T, K)
        answers = with_negatives(some, some, negatives.size(1), self.negatives)
        return torch.cat([right, wrong], dim=2), answers
