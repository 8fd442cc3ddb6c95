"""Tagger: a bidirectional LSTM reads the sentence, a dense layer tags every token.

Source: Alex Graves and Jürgen Schmidhuber 2005, doi:10.1016/j.neunet.2005.06.042; for names in sentences Zhiheng Huang,
Wei Xu and Kai Yu 2015, arXiv:1508.01991, "BI-LSTM".

Shape letters: B batch, T tokens, E embedding, H hidden units of a direction, K tags.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.cells import CellName
from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.pooling import real_steps
from runner.models.layers.recurrent import Recurrent
from runner.models.ranges import check_size


class LSTMTagger(nn.Module):
    """Scores of the tags of every token.

    Args:
        vocab_size: tokens of the vocabulary, PAD = 0 included.
        num_outputs: number of tags K.
        embed_dim: length E of a word vector.
        hidden_dim: units H of each direction.
        cell: rnn, lstm, gru, peephole, coupled or minimal.
        num_layers: layers, one above the other.
        dropout: share of the word vectors' numbers and of the outputs dropped in training, in [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        cell: CellName = "lstm",
        num_layers: int = 1,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, embed_dim=embed_dim)
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.layers = Recurrent(embed_dim, hidden_dim, cell, num_layers, bidirectional=True, dropout=dropout)
        self.output = nn.Linear(self.layers.output_dim, num_outputs)
        self.dropout = dropout

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T), int64, padded with 0, to logits (B, T, K)."""
        lengths, _ = real_steps(tokens)
        embedded = F.dropout(self.embedding(tokens), self.dropout, self.training)  # (B, T, E)
        states, _ = self.layers(embedded, lengths)  # (B, T, 2H)
        return self.output(F.dropout(states, self.dropout, self.training))

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E).

        Raises:
            ValueError: the vectors do not have the length embed_dim.
        """
        load_vectors(self.embedding, matrix)
