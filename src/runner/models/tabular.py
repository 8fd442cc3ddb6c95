"""One net for a table: numbers, embeddings of categories, an encoder of a text; dense layers on top.

Sources: entity embeddings, Guo and Berkhahn, Entity Embeddings of Categorical Variables, 2016, arXiv:1604.06737;
columns of several kinds in one vector, Cheng et al., Wide & Deep Learning for Recommender Systems, 2016,
arXiv:1606.07792, section 3.2. Departures: a missing or unknown category is the vector of zeros; all embeddings have one
length.

Shape letters: B batch, T tokens, F numbers, D numbers of a text, K outputs.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.mlp import MLP
from runner.models.ranges import check_choice, check_share, check_size
from runner.models.recurrent import RecurrentNet
from runner.models.textcnn import TextCNN

ENCODERS = ("mean", "textcnn", "lstm", "gru")
SCALE = 0.1  # standard deviation of the initial numbers of a category


class MeanOfWords(nn.Module):
    """The mean of the word vectors of a text, padding left out, through a dense layer.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers D that are returned.
        embed_dim: length of a word vector.
        dropout: share of the mean's numbers dropped in training, in [0, 1).
    """

    def __init__(self, vocab_size: int, num_outputs: int, embed_dim: int, dropout: float):
        super().__init__()
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(embed_dim, num_outputs)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0, to (B, D)."""
        words = (tokens != 0).sum(dim=1, keepdim=True).clamp(min=1)  # (B, 1)
        return self.output(self.dropout(self.embedding(tokens).sum(dim=1) / words))


class Tabular(nn.Module):
    """Scores of a row that has numbers, categories and a text, or only some of them.

    The inputs come in this order: numbers (B, F); the categories (B,) of each column; tokens (B, T).

    Args:
        num_outputs: numbers returned for each row: classes, labels or targets.
        in_features: number columns; None = there are none.
        category_sizes: categories of each category column, 0 = missing or unknown included; None = there are none.
        vocab_size: distinct tokens of the text, padding (0) included; None = there is no text.
        text_encoder: what reads the text: the mean of its words, textcnn, lstm or gru.
        embed_dim: length of a word vector.
        text_dim: numbers D that the encoder makes of a text.
        category_dim: length of the vector of a category.
        hidden_dims: units of each dense layer, first to last.
        dropout: share of the hidden units, and of the encoder's features, dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, a dropout outside [0, 1), an unknown encoder, or no columns at all.
    """

    def __init__(
        self,
        num_outputs: int,
        in_features: int | None = None,
        category_sizes: Sequence[int] | None = None,
        vocab_size: int | None = None,
        text_encoder: Literal["mean", "textcnn", "lstm", "gru"] = "textcnn",
        embed_dim: int = 64,
        text_dim: int = 64,
        category_dim: int = 8,
        hidden_dims: Sequence[int] = (64,),
        dropout: float = 0.3,
    ):
        super().__init__()
        check_size(num_outputs=num_outputs, embed_dim=embed_dim, text_dim=text_dim, category_dim=category_dim)
        check_share(dropout=dropout)
        check_choice(ENCODERS, text_encoder=text_encoder)
        sizes = list(category_sizes or [])
        if not (in_features or sizes or vocab_size):
            raise ValueError("a table needs numbers (in_features), categories (category_sizes) or a text (vocab_size)")
        self.in_features = in_features or 0
        tables = [nn.Embedding(size, category_dim, padding_idx=0) for size in sizes]
        for table in tables:
            nn.init.normal_(table.weight[1:], std=SCALE)
        self.categories = nn.ModuleList(tables)
        self.text: nn.Module | None = None
        if vocab_size is not None:
            self.text = encoder_of_text(text_encoder, vocab_size, embed_dim, text_dim, dropout)
        width = self.in_features + category_dim * len(sizes) + (text_dim if self.text is not None else 0)
        self.head = MLP(width, num_outputs, tuple(hidden_dims), dropout=dropout)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E).

        Raises:
            ValueError: there is no text.
        """
        if self.text is None:
            raise ValueError("this table has no text, so it cannot use word vectors")
        self.text.load_vectors(matrix)  # type: ignore[operator]

    def forward(self, *columns: Tensor) -> Tensor:
        """The inputs of a batch, see above, to scores (B, K)."""
        left = list(columns)
        parts = [left.pop(0).flatten(1)] if self.in_features else []  # (B, F)
        parts += [table(left.pop(0)) for table in self.categories]  # each (B, category_dim)
        if self.text is not None:
            parts.append(torch.relu(self.text(left.pop(0))))  # (B, D)
        return self.head(torch.cat(parts, dim=1))  # (B, K)


def encoder_of_text(name: str, vocab_size: int, embed_dim: int, text_dim: int, dropout: float) -> nn.Module:
    """Return the net that makes text_dim numbers of a text."""
    if name == "mean":
        return MeanOfWords(vocab_size, text_dim, embed_dim, dropout)
    if name == "textcnn":
        return TextCNN(vocab_size, text_dim, embed_dim, num_filters=text_dim, dropout=dropout)
    cell: Literal["lstm", "gru"] = "lstm" if name == "lstm" else "gru"
    return RecurrentNet(
        text_dim, vocab_size, None, embed_dim, text_dim, cell, bidirectional=True, pool="max", dropout=dropout
    )
