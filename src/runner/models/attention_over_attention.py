"""Attention over attention: each token of a question looks at the document, which says how much each of them counts.

Source: Yiming Cui, Zhipeng Chen, Si Wei, Shijin Wang, Ting Liu and Guoping Hu, Attention-over-Attention Neural Networks
for Reading Comprehension, ACL 2017, arXiv:1607.04423, section 3. The sum over the places of a word (equation 10) is in
`runner/tasks/reading.py`. Left out: the re-ranking of candidates by language models (section 4).

Shape letters: B batch, D document tokens, Q question tokens, H hidden units of a direction.
"""

from torch import Tensor, nn

from runner.models.layers.embeddings import load_vectors
from runner.models.layers.reader import Reader, masked_softmax


class AttentionOverAttention(nn.Module):
    """Attention to the tokens of a document, from all states of a question.

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
        scores = read.document @ read.question.transpose(1, 2)  # (B, D, Q): each token with each
        real = read.document_mask.unsqueeze(2)  # (B, D, 1)
        looks = masked_softmax(scores, real, dim=1)  # (B, D, Q): of each question token at the document
        counts = masked_softmax(scores, read.question_mask.unsqueeze(1), dim=2)  # (B, D, Q): of each document token
        counts = (counts * real).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)  # (B, 1, Q): their mean
        return (looks * counts).sum(dim=2)  # (B, D)

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E).

        Raises:
            ValueError: the vectors do not have the length embed_dim.
        """
        load_vectors(self.reader.embedding, matrix)
