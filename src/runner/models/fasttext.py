"""FastText: the mean of the vectors of all words and n-grams of a text, and a linear layer.

Source: Armand Joulin, Edouard Grave, Piotr Bojanowski and Tomas Mikolov, Bag of Tricks for Efficient Text
Classification, EACL 2017, arXiv:1607.01759, section 2. N-grams have no vocabulary: a hash gives each one of a fixed
number of vectors. Departures: softmax over all classes instead of a tree; any optimizer; dropout.

Shape letters: B batch, T time (words), E embedding, K outputs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.ranges import check_share, check_size

FACTOR = 1_000_003  # of the hash, a prime


class NgramEmbedding(nn.Embedding):
    """Vectors of hashed n-grams; position t of the output belongs to the words t - n + 1 .. t.

    Args:
        num_buckets: vectors that the n-grams share.
        embed_dim: length of a vector.
        span: words of an n-gram, n.
    """

    def __init__(self, num_buckets: int, embed_dim: int, span: int):
        super().__init__(num_buckets + 1, embed_dim, padding_idx=0)
        self.span = span
        nn.init.uniform_(self.weight[1:], -1 / embed_dim, 1 / embed_dim)

    def buckets(self, tokens: Tensor) -> Tensor:
        """Number of the n-gram that ends at each word, int64 (B, T), 1 .. num_buckets; 0 where there is none."""
        whole, hashed = tokens != 0, tokens  # (B, T)
        for back in range(1, self.span):
            earlier = F.pad(tokens, (back, 0))[:, : tokens.size(1)]  # (B, T): the word so many places before
            whole = whole & (earlier != 0)
            hashed = hashed * FACTOR + earlier
        return torch.where(whole, hashed.remainder(self.num_embeddings - 1) + 1, 0)


class FastText(nn.Module):
    """Scores of a text from the mean of its words and n-grams.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers returned for each text: classes or targets.
        embed_dim: length of a vector.
        max_ngram: longest n-gram, in words: 1 = words alone, 2 = pairs too.
        num_buckets: vectors that all n-grams of one length share.
        dropout: share of the mean vector dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        embed_dim: int = 32,
        max_ngram: int = 2,
        num_buckets: int = 50_000,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, embed_dim=embed_dim)
        check_size(max_ngram=max_ngram, num_buckets=num_buckets)
        check_share(dropout=dropout)
        self.embedding = word_embedding(vocab_size, embed_dim, reach=1 / embed_dim)
        self.ngrams = nn.ModuleList(NgramEmbedding(num_buckets, embed_dim, span) for span in range(2, max_ngram + 1))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(embed_dim, num_outputs)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, T) with padding 0 at the end, to scores (B, K)."""
        total, count = self.embedding(tokens).sum(dim=1), (tokens != 0).sum(dim=1)  # (B, E), (B,)
        for table in self.ngrams:
            assert isinstance(table, NgramEmbedding)
            buckets = table.buckets(tokens)  # (B, T)
            total = total + table(buckets).sum(dim=1)
            count = count + (buckets != 0).sum(dim=1)
        mean = total / count.clamp(min=1).unsqueeze(1)  # (B, E); the vector of padding is zero
        return self.output(self.dropout(mean))  # (B, K)
