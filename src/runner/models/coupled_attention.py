"""Coupled multi-layer attentions: one attention finds aspect terms, the other opinion terms, and each helps the other.

Source: Wenya Wang, Sinno Jialin Pan, Daniel Dahlmeier and Xiaokui Xiao, Coupled Multi-Layer Attentions for
Co-Extraction of Aspect and Opinion Terms, AAAI 2017, section 3. The paper scores the two labels of a token (begins,
continues or is outside an aspect term; the same for an opinion term) separately; here they are put together to one of
five tags, since a token cannot be both. Left out: word vectors trained on other reviews (give them with `vectors=`).

Shape letters: B batch, T tokens, E embedding, H hidden units, K slices of a tensor.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.pooling import real_steps
from runner.models.layers.reader import masked_softmax
from runner.models.layers.recurrent import Recurrent
from runner.models.ranges import check_share, check_size

RANGE = 0.2  # of the initial numbers of tensors and prototypes


class TermAttention(nn.Module):
    """The attention to one kind of terms; its weights are those of all layers.

    Args:
        hidden_dim: units H of a token.
        slices: compositions K of a token with each of the two prototypes.
    """

    def __init__(self, hidden_dim: int, slices: int):
        super().__init__()
        self.with_own = nn.Parameter(torch.empty(slices, hidden_dim, hidden_dim).uniform_(-RANGE, RANGE))
        self.with_other = nn.Parameter(torch.empty(slices, hidden_dim, hidden_dim).uniform_(-RANGE, RANGE))
        self.prototype = nn.Parameter(torch.empty(hidden_dim).uniform_(-RANGE, RANGE))
        self.context = Recurrent(2 * slices, 2 * slices, "gru")
        self.score = nn.Linear(2 * slices, 1, bias=False)  # a constant would change nothing in the softmax
        self.carry = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.output = nn.Linear(2 * slices, 3)  # outside, begins, continues

    def features(self, hidden: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Tokens (B, T, H) and the prototypes of both kinds (B, H) to features of every token (B, T, 2K)."""
        with_both = compositions(hidden, self.with_own, own), compositions(hidden, self.with_other, other)
        return self.context(torch.tanh(torch.cat(with_both, dim=2)))[0]

    def following(self, hidden: Tensor, features: Tensor, own: Tensor, mask: Tensor) -> Tensor:
        """The prototype of the next layer (B, H): the last one, and the tokens that attention finds."""
        weights = masked_softmax(self.score(features).squeeze(2), mask, dim=1)  # (B, T)
        return torch.tanh(self.carry(own)) + torch.einsum("bt,bth->bh", weights, hidden)


class CoupledAttention(nn.Module):
    """Scores of the tags O, B-aspect, I-aspect, B-opinion and I-opinion of every token.

    Args:
        vocab_size: tokens of the vocabulary, PAD = 0 included.
        num_outputs: number of tags: 5, two kinds of terms.
        embed_dim: length E of a word vector.
        hidden_dim: units H of a token.
        slices: slices K of each tensor, compositions of a token with a prototype.
        num_layers: times that the two attentions hand their findings to each other, at least 1.
        dropout: share of the word vectors' numbers and of the features dropped in training, in [0, 1).

    Raises:
        ValueError: another number of tags, a size below 1, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        embed_dim: int = 100,
        hidden_dim: int = 50,
        slices: int = 20,
        num_layers: int = 2,
        dropout: float = 0.5,
    ):
        super().__init__()
        if num_outputs != 5:
            raise ValueError(f"two attentions are for two kinds of terms, which have 5 tags; received {num_outputs}")
        check_size(vocab_size=vocab_size, embed_dim=embed_dim, slices=slices, num_layers=num_layers)
        check_share(dropout=dropout)
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.reader = Recurrent(embed_dim, hidden_dim, "gru")
        self.aspects, self.opinions = TermAttention(hidden_dim, slices), TermAttention(hidden_dim, slices)
        self.num_layers, self.dropout = num_layers, dropout

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T), int64, padded with 0, to log-probabilities of the tags (B, T, 5)."""
        _, mask = real_steps(tokens)
        embedded = F.dropout(self.embedding(tokens), self.dropout, self.training)  # (B, T, E)
        hidden, _ = self.reader(embedded)  # (B, T, H)
        aspect = self.aspects.prototype.expand(tokens.size(0), -1)  # (B, H)
        opinion = self.opinions.prototype.expand(tokens.size(0), -1)
        for layer in range(self.num_layers):
            of_aspects = self.aspects.features(hidden, aspect, opinion)  # (B, T, 2K)
            of_opinions = self.opinions.features(hidden, opinion, aspect)
            if layer < self.num_layers - 1:
                aspect = self.aspects.following(hidden, of_aspects, aspect, mask)
                opinion = self.opinions.following(hidden, of_opinions, opinion, mask)
        return joined_tags(self.label(self.aspects, of_aspects), self.label(self.opinions, of_opinions))

    def label(self, attention: TermAttention, features: Tensor) -> Tensor:
        """Log-probabilities that a token is outside a term of this kind, begins or continues one (B, T, 3)."""
        return attention.output(F.dropout(features, self.dropout, self.training)).log_softmax(dim=2)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E).

        Raises:
            ValueError: the vectors do not have the length embed_dim.
        """
        load_vectors(self.embedding, matrix)


def compositions(hidden: Tensor, tensor: Tensor, prototype: Tensor) -> Tensor:
    """h' G_k u for tokens h (B, T, H), slices G_k (K, H, H) and prototypes u (B, H): (B, T, K)."""
    return hidden @ torch.einsum("khg,bg->bhk", tensor, prototype)


def joined_tags(aspects: Tensor, opinions: Tensor) -> Tensor:
    """Log-probabilities of two labels (B, T, 3) each to those of five tags (B, T, 5), as if one had to be outside."""
    inside_aspect = aspects[:, :, 1:] + opinions[:, :, :1]
    inside_opinion = aspects[:, :, :1] + opinions[:, :, 1:]
    outside = aspects[:, :, :1] + opinions[:, :, :1]
    return torch.cat([outside, inside_aspect, inside_opinion], dim=2).log_softmax(dim=2)
