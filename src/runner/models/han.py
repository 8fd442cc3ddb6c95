"""Hierarchical attention network: words make sentences, sentences make a document.

Source: Yang, Yang, Dyer, He, Smola and Hovy, Hierarchical Attention Networks for Document Classification, NAACL 2016,
section 2: at both levels a bidirectional GRU reads its row in context, and attention (`layers/pooling.py`) makes one
vector of it (equations 5 to 7 for words, 8 to 10 for sentences).

Shape letters: B batch, L places of a document, S sentences, T places of a sentence, E embedding, D outputs of a GRU,
K outputs.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.pooling import Attending, real_steps
from runner.models.layers.recurrent import Recurrent
from runner.models.ranges import check_share, check_size


class HAN(nn.Module):
    """Scores of a document.

    Args:
        vocab_size: distinct tokens, padding (0) included.
        num_outputs: numbers returned for each document: classes or targets.
        sentence_len: places of a sentence, at least 1; the data fill those after its words with padding.
        embed_dim: length of a word vector.
        hidden_dim: units of each GRU in each direction.
        attention_dim: numbers a state is turned into before it is compared with the query of its level.
        dropout: share of the word vectors and of the outputs of both GRUs dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        sentence_len: int,
        embed_dim: int = 128,
        hidden_dim: int = 50,
        attention_dim: int = 100,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, sentence_len=sentence_len, embed_dim=embed_dim)
        self.sentence_len = sentence_len
        check_share(dropout=dropout)
        self.embedding = word_embedding(vocab_size, embed_dim)
        self.words = AttentiveGRU(embed_dim, hidden_dim, attention_dim, dropout)
        self.sentences = AttentiveGRU(self.words.output_dim, hidden_dim, attention_dim, dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.sentences.output_dim, num_outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens, int64 (B, L), of which every `sentence_len` are a sentence that ends in padding 0, to (B, K)."""
        return self.output(self.read(tokens)[0])

    def read(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, L) to documents (B, D) and the weights of words in their sentences (B, S, T), of sentences (B, S).

        All sentences of the batch are read at once.
        """
        size = self.sentence_len
        rows = F.pad(tokens, (0, -tokens.size(1) % size)).unflatten(1, (-1, size))  # (B, S, T)
        vectors = self.dropout(self.embedding(rows)).flatten(0, 1)  # (BS, T, E)
        sentences, of_words = self.words(vectors, *real_steps(rows.flatten(0, 1)))  # (BS, D), (BS, T)
        filled = real_steps(rows.amax(dim=2))
        documents, of_sentences = self.sentences(sentences.unflatten(0, rows.shape[:2]), *filled)  # (B, D), (B, S)
        return documents, of_words.view_as(rows), of_sentences

    def attention(self, tokens: Tensor) -> Tensor:
        """How much each word counts, (B, L): its weight in its sentence times that of the sentence."""
        _, of_words, of_sentences = self.read(tokens)
        return (of_words * of_sentences.unsqueeze(2)).flatten(1)[:, : tokens.size(1)]

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)


class AttentiveGRU(nn.Module):
    """A bidirectional GRU, and attention over its outputs.

    Args:
        input_dim: numbers E of a step.
        hidden_dim: units in each direction.
        attention_dim: numbers that attention compares.
        dropout: share of the outputs dropped in training, in [0, 1).
    """

    def __init__(self, input_dim: int, hidden_dim: int, attention_dim: int, dropout: float):
        super().__init__()
        self.recurrent = Recurrent(input_dim, hidden_dim, "gru", bidirectional=True)
        self.output_dim = self.recurrent.output_dim
        self.attending = Attending(self.output_dim, attention_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, lengths: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Steps (B, T, E), lengths (B,) and mask (B, T) to one vector for each row (B, D) and the weights (B, T)."""
        outputs, _ = self.recurrent(steps, lengths)
        outputs = self.dropout(outputs)  # (B, T, D)
        weights = self.attending(outputs, mask)  # (B, 1, T)
        return (weights @ outputs).squeeze(1), weights.squeeze(1)
