"""Self-attentive sentence embedding: several weighted means of the states of a bidirectional LSTM.

Source: Lin, Feng, dos Santos, Yu, Xiang, Zhou and Bengio, A Structured Self-attentive Sentence Embedding, ICLR 2017,
arXiv:1703.03130, section 2: A = softmax(W2 tanh(W1 H^T)), M = A H (equations 6 and 7), and the penalty |A A^T - I|^2
(equation 8), the squared Frobenius norm, which keeps the hops from looking at the same words; then a dense layer and
the output. Departures: the first layer of the attention has a bias, as that of Yang et al. 2016, whose layer it is; the
penalty is a mean over the texts of a batch.

Shape letters: B batch, T words, E embedding, D outputs of the LSTM, R hops, K outputs.
"""

import torch
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.pooling import Attending, real_steps
from runner.models.layers.recurrent import Recurrent
from runner.models.ranges import check_share, check_size


class SelfAttentive(nn.Module):
    """Scores of a text from several weighted means of what an LSTM says of its words.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers returned for each text: classes or targets.
        embed_dim: length of a word vector.
        hidden_dim: units of the LSTM in each direction.
        attention_dim: numbers a state is turned into before it is compared with the queries.
        hops: weighted means, each with a query of its own, at least 1.
        dense_dim: units of the dense layer with ReLU before the output.
        penalty: factor of |A A^T - I|^2 in training, at least 0.
        dropout: share of the LSTM's outputs dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, a penalty below 0 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        attention_dim: int = 100,
        hops: int = 4,
        dense_dim: int = 128,
        penalty: float = 0.01,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, embed_dim=embed_dim, dense_dim=dense_dim)
        check_share(dropout=dropout)
        if penalty < 0:
            raise ValueError(f"penalty must be at least 0, received {penalty}")
        self.penalty = penalty
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.recurrent = Recurrent(embed_dim, hidden_dim, "lstm", bidirectional=True)
        self.attending = Attending(self.recurrent.output_dim, attention_dim, hops)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hops * self.recurrent.output_dim, dense_dim)
        self.output = nn.Linear(dense_dim, num_outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0 at the end, to scores (B, K)."""
        return self.scores(*self.read(tokens))

    def read(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens, int64 (B, T), to the states H (B, T, D) and the weights A (B, R, T)."""
        lengths, mask = real_steps(tokens)  # (B,), (B, T)
        states, _ = self.recurrent(self.embedding(tokens), lengths)  # (B, T, D)
        states = self.dropout(states)
        return states, self.attending(states, mask)

    def scores(self, states: Tensor, weights: Tensor) -> Tensor:
        """States (B, T, D) and weights (B, R, T) to scores (B, K)."""
        means = (weights @ states).flatten(1)  # (B, RD)
        return self.output(torch.relu(self.dense(means)))

    def losses(self, inputs: tuple[Tensor, ...], target: Tensor) -> dict[str, Tensor]:
        """The scores, which need not be computed again, and the penalty."""
        states, weights = self.read(*inputs)
        return {"outputs": self.scores(states, weights), "penalty": self.penalty * likeness(weights).mean()}

    def attention(self, tokens: Tensor) -> Tensor:
        """How much each word counts in each hop, (B, R, T), for tokens, int64 (B, T)."""
        return self.read(tokens)[1]

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)


def likeness(weights: Tensor) -> Tensor:
    """|A A^T - I|^2, (B,), of weights A (B, R, T): 0 if every hop looks at one word, each at another."""
    alike = weights @ weights.transpose(1, 2)  # (B, R, R)
    return (alike - torch.eye(weights.size(1), device=weights.device)).square().sum(dim=(1, 2))
