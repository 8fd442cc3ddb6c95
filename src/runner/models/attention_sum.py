"""Attention sum reader: the state of the whole question looks at every token of the document.

Source: Rudolf Kadlec, Martin Schmid, Ondrej Bajgar and Jan Kleindienst, Text Understanding with the Attention Sum
Reader Network, 2016, arXiv:1603.01547, equations 1 and 2. The sum over the places of a word is in
`runner/tasks/reading.py`. Departures: word vectors begin as those of attention over attention, so that the two differ
in their attention alone.

Shape letters: B batch, D document tokens, Q question tokens, H hidden units of a direction.
"""

from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors
from runner.models.layers.reader import Reader, masked_softmax


class AttentionSum(nn.Module):
    """Attention to the tokens of a document, from the last states of a question.

    Args:
        vocab_size: tokens of the vocabulary, PAD = 0 included.
        embed_dim: length of a word vector.
        hidden_dim: units of each direction.
        dropout: share of the word vectors' numbers dropped in training, in [0, 1).
        static: whether the word vectors, which `vectors=` has given, stay as they are.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        dropout: float = 0.1,
        static: bool = False,
    ):
        super().__init__()
        self.reader = Reader(vocab_size, embed_dim, hidden_dim, dropout, static)

    def forward(self, document: Tensor, question: Tensor) -> Tensor:
        """Document (B, D) and question (B, Q), int64, padded with 0, to the attention to the document (B, D)."""
        read = self.reader(document, question)
        scores = (read.document @ read.last.unsqueeze(2)).squeeze(2)  # (B, D)
        return masked_softmax(scores, read.document_mask, dim=1)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E).

        Raises:
            ValueError: the vectors do not have the length embed_dim.
        """
        load_vectors(self.reader.embedding, matrix)
