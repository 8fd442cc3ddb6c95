"""Neural probabilistic language model: the next word from the vectors of the n - 1 words before it.

Source: Bengio, Ducharme, Vincent and Jauvin, A Neural Probabilistic Language Model, JMLR 3, 2003, equation 1:
y = b + W x + U tanh(d + H x), in which x are the word vectors one after another.
Departure: before the beginning of a text stand vectors of zeros.

Shape letters: B batch, T time (words), V vocabulary, E embedding, H hidden units, C = n - 1 words of context.
"""

import torch
from torch import Tensor, nn

from runner.models.layers.carrying import CarryingLM, State
from runner.models.layers.embeddings import load_vectors
from runner.models.ranges import check_share, check_size


class NNLM(CarryingLM):
    """Logits of the next word at every place of a text.

    Its state is the last n - 2 words, int64 (B, n - 2).

    Args:
        vocab_size: words, padding (0) included.
        n: the next word is predicted from n - 1 words; at least 2.
        embed_dim: length of a word vector.
        hidden_dim: units of the hidden layer.
        direct: whether the word vectors are also connected with the output directly (the matrix W).
        dropout: share of the hidden units dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, an n below 2, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        n: int = 5,
        embed_dim: int = 100,
        hidden_dim: int = 200,
        direct: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, embed_dim=embed_dim, hidden_dim=hidden_dim)
        check_size(2, n=n)
        check_share(dropout=dropout)
        self.context = n - 1
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        self.output = WithShortcut((n - 1) * embed_dim, hidden_dim, vocab_size, direct, dropout)

    def initial(self, rows: int) -> State:
        return (torch.zeros(rows, self.context - 1, dtype=torch.int64, device=self.embedding.weight.device),)

    def read(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (before,) = self.initial(tokens.size(0)) if state is None else state
        text = torch.cat([before, tokens], dim=1)  # (B, C - 1 + T)
        vectors = self.embedding(text).unfold(1, self.context, 1)  # (B, T, E, C)
        return vectors.transpose(2, 3).flatten(2), (text[:, text.size(1) - self.context + 1 :],)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)


class WithShortcut(nn.Module):
    """The output y = b + W x + U tanh(d + H x).

    Args:
        input_dim: numbers of x.
        hidden_dim: units of the hidden layer.
        output_dim: numbers of y.
        direct: whether there is a W.
        dropout: share of the hidden units dropped in training.
    """

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int, direct: bool, dropout: float):
        super().__init__()
        self.hidden = nn.Linear(input_dim, hidden_dim)  # H, d
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dim, output_dim)  # U, b
        self.direct = nn.Linear(input_dim, output_dim, bias=False) if direct else None  # W

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., input_dim) to (..., output_dim)."""
        y = self.output(self.dropout(torch.tanh(self.hidden(x))))
        return y if self.direct is None else y + self.direct(x)
