"""Adversarial autoencoder of sentences: a sentence can be written again from its code, which is like a draw of N(0, 1).

Sources: Makhzani et al., Adversarial Autoencoders, 2016, arXiv:1511.05644 (the discriminator of codes); Shen et al.,
Educating Text Autoencoders: Latent Representation Guidance via Denoising, ICML 2020, arXiv:1905.12777 (for sentences, a
recurrent encoder and decoder); Bowman et al., Generating Sentences from a Continuous Space, 2016, arXiv:1511.06349 (the
decoder); Zhao, Zhao and Eskenazi 2017, arXiv:1703.10960 (the words are said by the code, too, not only one after
another); Kim 2014, arXiv:1408.5882 (the convolutional encoder). Departures: GRU instead of LSTM; the code is an input
of every step of the decoder too, and batch normalisation makes its numbers as wide as the prior; the recurrent encoder
pools its states instead of taking the last one, and the mean of the word vectors (Iyyer et al. 2015,
https://aclanthology.org/P15-1162) is read beside its states or the features of the windows: it keeps what pretrained
vectors know of a word.

Token 0, the padding, never stands inside a sentence: it begins and ends what is written.

Shape letters: B batch, T tokens, L = T + 1 places of what is written, V vocabulary, E embedding, D features, Z latent.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.batch_norm import BatchNorm
from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.pooling import Pooling, PoolName, real_steps
from runner.models.layers.recurrent import Recurrent
from runner.models.layers.stateful import Bridge, read, stateful
from runner.models.layers.windows import at_least, max_over_time
from runner.models.mlp import MLP
from runner.models.ranges import check_choice, check_share, check_size

ReaderName = Literal["recurrent", "convolutional"]
WritingState = tuple[Tensor, ...]  # the code (B, Z), and what the decoder remembers, (B, layers, H)


class TextAAE(nn.Module):
    """Encoder and decoder of sentences, and `discriminator`: codes (B, Z) to the logit of coming from the prior, (B,).

    Args:
        vocab_size: tokens V of the vocabulary, padding (0) included.
        latent_dim: numbers Z in a code.
        embed_dim: length E of a word vector, which encoder and decoder share.
        hidden_dim: units of the decoder, and of each direction of a recurrent encoder.
        reader: what reads a sentence: recurrent (a GRU in both directions) or convolutional.
        pool: how the states of a recurrent encoder become one vector: last, mean, max or attention.
        num_filters: filters of each width of a convolutional encoder.
        kernel_sizes: widths of the windows of a convolutional encoder, in words.
        dropout: share of word vectors, features and outputs dropped in training, in [0, 1).
        discriminator_dims: units of each hidden layer of the discriminator.
        static: whether the word vectors stay as they are given.

    Raises:
        ValueError: a size below 1, an unknown reader or pool, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        latent_dim: int = 64,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        reader: ReaderName = "recurrent",
        pool: PoolName = "max",
        num_filters: int = 100,
        kernel_sizes: list[int] | tuple[int, ...] = (1, 2, 3),
        dropout: float = 0.2,
        discriminator_dims: list[int] | tuple[int, ...] = (128, 64),
        static: bool = False,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, latent_dim=latent_dim, embed_dim=embed_dim, num_filters=num_filters)
        check_share(dropout=dropout)
        check_choice(("recurrent", "convolutional"), reader=reader)
        self.latent_dim, self.needs_vectors = latent_dim, static
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.embedding.weight.requires_grad_(not static)
        self.encoder = (
            SentenceRecurrence(embed_dim, hidden_dim, pool)
            if reader == "recurrent"
            else SentenceWindows(embed_dim, num_filters, kernel_sizes)
        )
        self.project = nn.Linear(self.encoder.output_dim + embed_dim, latent_dim)
        self.norm = BatchNorm(latent_dim, affine=False)
        self.words = nn.Linear(latent_dim, vocab_size)
        self.decoder = stateful(embed_dim + latent_dim, hidden_dim, "gru")
        self.bridge = Bridge(latent_dim, self.decoder)
        self.output = nn.Linear(hidden_dim, vocab_size)
        self.dropout = nn.Dropout(dropout)
        self.discriminator = nn.Sequential(MLP(latent_dim, 1, discriminator_dims), nn.Flatten(0))

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)

    def codes(self, tokens: Tensor) -> Tensor:
        """Sentences, int64 (B, T) with padding 0 at the end, to their codes (B, Z)."""
        features = torch.cat([self.encoder(tokens, self.embedding), self.mean_word(tokens)], dim=1)  # (B, D + E)
        return self.norm(self.project(self.dropout(features)))

    def mean_word(self, tokens: Tensor) -> Tensor:
        """The mean of the word vectors of sentences (B, T), (B, E); padding does not count."""
        real = (tokens != 0).unsqueeze(2)
        return (self.embedding(tokens) * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)

    def forward(self, tokens: Tensor, written: Tensor) -> tuple[Tensor, Tensor]:
        """Sentences (B, T) and what is written so far, which token 0 begins, (B, L), both int64.

        Returns:
            Logits of the token after each that is written, (B, L, V), and codes (B, Z).
        """
        codes = self.codes(tokens)
        return self.write(written, self.start_from(codes))[0], codes

    # Writing token by token.

    def start(self, tokens: Tensor) -> WritingState:
        """The state before the first token that is written of what sentences (B, T) say."""
        return self.start_from(self.codes(tokens))

    def start_from(self, codes: Tensor) -> WritingState:
        """The state before the first token that is written of codes (B, Z)."""
        return codes, *self.bridge(codes)

    def step(self, token: Tensor, state: WritingState) -> tuple[Tensor, WritingState]:
        """Read one more token that is written, int64 (B,): logits of the next one, (B, V), and the state after it."""
        logits, state = self.write(token.unsqueeze(1), state)
        return logits.squeeze(1), state

    def write(self, tokens: Tensor, state: WritingState) -> tuple[Tensor, WritingState]:
        """Tokens that are written (B, L) and the state before them to logits (B, L, V) and the state after them."""
        codes, *before = state
        known = codes.unsqueeze(1).expand(-1, tokens.size(1), -1)  # (B, L, Z)
        words = self.dropout(self.embedding(tokens))  # (B, L, E)
        hidden, after = read(self.decoder, torch.cat([words, known], dim=2), tuple(before))
        return self.output(self.dropout(hidden)), (codes, *after)


class SentenceRecurrence(nn.Module):
    """A GRU in both directions whose states are pooled.

    Args:
        embed_dim: length E of a word vector.
        hidden_dim: units of each direction.
        pool: last, mean, max or attention.
    """

    def __init__(self, embed_dim: int, hidden_dim: int, pool: PoolName):
        super().__init__()
        self.layers = Recurrent(embed_dim, hidden_dim, "gru", bidirectional=True)
        self.output_dim = self.layers.output_dim
        self.pooling = Pooling(pool, self.output_dim)

    def forward(self, tokens: Tensor, embedding: nn.Embedding) -> Tensor:
        """Sentences (B, T) to features (B, D)."""
        lengths, mask = real_steps(tokens)
        states, last = self.layers(embedding(tokens), lengths)
        return self.pooling(states, last, mask)


class SentenceWindows(nn.Module):
    """Convolutions of several widths, of each the maximum over time.

    Args:
        embed_dim: length E of a word vector.
        num_filters: filters of each width.
        kernel_sizes: widths, in words.
    """

    def __init__(self, embed_dim: int, num_filters: int, kernel_sizes: list[int] | tuple[int, ...]):
        super().__init__()
        if not kernel_sizes or min(kernel_sizes) < 1:
            raise ValueError(f"kernel_sizes must be widths of at least 1, received {list(kernel_sizes)}")
        self.convolutions = nn.ModuleList(nn.Conv1d(embed_dim, num_filters, size) for size in kernel_sizes)
        self.widest = max(kernel_sizes)
        self.output_dim = num_filters * len(kernel_sizes)

    def forward(self, tokens: Tensor, embedding: nn.Embedding) -> Tensor:
        """Sentences (B, T) to features (B, D)."""
        tokens = at_least(tokens, self.widest)
        words = embedding(tokens).transpose(1, 2)  # (B, E, T)
        return F.relu(torch.cat([max_over_time(convolve(words), tokens) for convolve in self.convolutions], dim=1))
