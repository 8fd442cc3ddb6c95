"""Twin LSTM: two LSTMs read a text, one over embeddings drawn at random, one over pretrained vectors.

Source: the course book, chapter 9, section 5, second model ("two blocks"): both embeddings are trained, the last
states of the two LSTMs are joined, and a dense layer and the output layer follow.

Shape letters: B batch, T steps (words), E embedding, F numbers of a pretrained vector, H hidden units, K outputs.
"""

import torch
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.pooling import real_steps
from runner.models.layers.recurrent import Recurrent
from runner.models.ranges import check_share, check_size


class TwinLSTM(nn.Module):
    """Scores of a text from the last states of two LSTMs.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers returned for each text: classes or targets.
        embed_dim: length of the vectors drawn at random.
        vector_dim: length of the pretrained vectors.
        hidden_dim: units of each LSTM.
        dense_dim: units of the dense layer.
        dropout: share of the word vectors and of the joined states dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    needs_vectors = True  # without them both LSTMs would be the same

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        embed_dim: int = 50,
        vector_dim: int = 50,
        hidden_dim: int = 100,
        dense_dim: int = 100,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, embed_dim=embed_dim, vector_dim=vector_dim)
        check_size(hidden_dim=hidden_dim, dense_dim=dense_dim)
        check_share(dropout=dropout)
        self.drawn = word_embedding(vocab_size, embed_dim)
        self.learned = word_embedding(vocab_size, vector_dim)
        self.drawn_lstm = Recurrent(embed_dim, hidden_dim, "lstm")
        self.learnt_lstm = Recurrent(vector_dim, hidden_dim, "lstm")
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(2 * hidden_dim, dense_dim)
        self.output = nn.Linear(dense_dim, num_outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0 at the end, to scores (B, K)."""
        lengths, _ = real_steps(tokens)  # (B,)
        _, drawn = self.drawn_lstm(self.dropout(self.drawn(tokens)), lengths)  # (B, H)
        _, learned = self.learnt_lstm(self.dropout(self.learned(tokens)), lengths)  # (B, H)
        joined = self.dropout(torch.cat([drawn, learned], dim=1))  # (B, 2H)
        return self.output(torch.relu(self.dense(joined)))  # (B, K)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start the second embedding with these vectors (V, F)."""
        load_vectors(self.learned, matrix)
