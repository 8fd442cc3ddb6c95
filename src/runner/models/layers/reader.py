"""Reads a document and a question about it.

Shape letters: B batch, D document tokens, Q question tokens, E embedding, H hidden units of a direction.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.embeddings import word_embedding
from runner.models.layers.pooling import real_steps
from runner.models.layers.recurrent import Recurrent
from runner.models.ranges import check_share, check_size

RANGE = 0.05  # of the initial numbers of word vectors, as in Cui et al. 2017, section 5.1


class Read(NamedTuple):
    """States (B, D, 2H) and real tokens (B, D) of a document, the same of a question (B, Q), its last state (B, 2H)."""

    document: Tensor
    document_mask: Tensor
    question: Tensor
    question_mask: Tensor
    last: Tensor


class Reader(nn.Module):
    """Two bidirectional GRUs over word vectors that document and question share.

    Args:
        vocab_size: tokens of the vocabulary.
        embed_dim: length E of a word vector.
        hidden_dim: units H of each direction.
        dropout: share of the word vectors' numbers dropped in training, in [0, 1).
        static: whether the word vectors stay as they are.

    Raises:
        ValueError: a size below 1, or a dropout outside [0, 1).
    """

    def __init__(self, vocab_size: int, embed_dim: int, hidden_dim: int, dropout: float, static: bool):
        super().__init__()
        check_size(vocab_size=vocab_size, embed_dim=embed_dim)
        check_share(dropout=dropout)
        self.embedding = word_embedding(vocab_size, embed_dim, RANGE)
        self.embedding.weight.requires_grad_(not static)
        self.of_document = Recurrent(embed_dim, hidden_dim, "gru", bidirectional=True)
        self.of_question = Recurrent(embed_dim, hidden_dim, "gru", bidirectional=True)
        self.dropout = dropout

    def forward(self, document: Tensor, question: Tensor) -> Read:
        """Document (B, D) and question (B, Q), int64, to their states."""
        document_states, document_mask, _ = self.states(document, self.of_document)
        return Read(document_states, document_mask, *self.states(question, self.of_question))

    def states(self, tokens: Tensor, layers: Recurrent) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, T) to states (B, T, 2H), real tokens (B, T) and the last state of both directions (B, 2H)."""
        lengths, mask = real_steps(tokens)
        embedded = F.dropout(self.embedding(tokens), self.dropout, self.training)  # (B, T, E)
        states, last = layers(embedded, lengths)
        return states, mask, last


def masked_softmax(scores: Tensor, mask: Tensor, dim: int) -> Tensor:
    """The softmax of scores over one dimension, 0 where the mask is False."""
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=dim)
