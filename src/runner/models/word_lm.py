"""Word language model: LSTM layers, tied weights, an output layer for large vocabularies, dropouts of AWD-LSTM.

Sources: Zaremba, Sutskever and Vinyals, Recurrent Neural Network Regularization, 2014, arXiv:1409.2329 (the LSTM and
its dropout); Press and Wolf, Using the Output Embedding to Improve Language Models, EACL 2017 (tied weights); Merity,
Keskar and Socher, Regularizing and Optimizing LSTM Language Models, 2017, arXiv:1708.02182 (whole words, the same units
at every step, recurrent weights). Departures from the last: one rate for inputs, layers and outputs; no NT-ASGD.

Shape letters: B batch, T time (words), V vocabulary, E embedding, H hidden units, L layers.
"""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.carrying import CarryingLM, State
from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.layers.softmax import AdaptiveSoftmax, SampledSoftmax, Softmax
from runner.models.ranges import check_choice, check_share, check_size

BEGIN = 0.1  # word vectors begin between minus and plus this, as in Zaremba et al.


class WordLM(CarryingLM):
    """Logits of the next word at every place of a text.

    Its state is h and c of each layer, (B, H) each.

    Args:
        vocab_size: words, padding (0) included, in the order of their frequency.
        embed_dim: length of a word vector.
        hidden_dim: units of a layer.
        num_layers: layers.
        tied: whether the output layer has the word vectors as its weights; the last layer then has embed_dim units.
        softmax: full, sampled (in training, over some words) or adaptive (rare words by classes).
        samples: words drawn for each batch with softmax=sampled.
        cutoffs: ranks at which the classes of rarer words begin with softmax=adaptive; None = 1/50 and 1/5 of all.
        dropout: share of the inputs of each layer and of the outputs of the last one dropped in training, in [0, 1).
        locked: whether the same of them are dropped at every step of a window (variational dropout).
        embedding_dropout: share of the words whose vectors are dropped from a batch, in [0, 1).
        weight_dropout: share of the weights between the hidden units of successive steps dropped, in [0, 1).

    Raises:
        ValueError: a size below 1, a share outside [0, 1), an unknown softmax, or one whose weights cannot be tied.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int = 500,
        hidden_dim: int = 500,
        num_layers: int = 2,
        tied: bool = False,
        softmax: Literal["full", "sampled", "adaptive"] = "full",
        samples: int = 1000,
        cutoffs: list[int] | None = None,
        dropout: float = 0.5,
        locked: bool = False,
        embedding_dropout: float = 0.0,
        weight_dropout: float = 0.0,
    ):
        super().__init__()
        check_size(vocab_size=vocab_size, embed_dim=embed_dim, hidden_dim=hidden_dim, num_layers=num_layers)
        check_share(dropout=dropout, embedding_dropout=embedding_dropout, weight_dropout=weight_dropout)
        check_choice(("full", "sampled", "adaptive"), softmax=softmax)
        if tied and softmax == "adaptive":
            raise ValueError("an adaptive softmax has no matrix of all words to be tied: leave tied or softmax out")
        self.dropout, self.locked = dropout, locked
        self.embedding_dropout, self.weight_dropout = embedding_dropout, weight_dropout
        self.embedding = word_embedding(vocab_size, embed_dim, BEGIN)
        last = embed_dim if tied else hidden_dim
        widths = [embed_dim, *[hidden_dim] * (num_layers - 1), last]
        self.units = widths[1:]
        self.layers = nn.ModuleList(nn.LSTM(width, units, batch_first=True) for width, units in pairwise(widths))
        if cutoffs is None:
            cutoffs = [max(vocab_size // 50, 2), max(vocab_size // 5, 3)]
        made = {
            "full": lambda: Softmax(last, vocab_size),
            "sampled": lambda: SampledSoftmax(last, vocab_size, samples),
            "adaptive": lambda: AdaptiveSoftmax(last, vocab_size, cutoffs),
        }
        self.output = made[softmax]()
        if tied:
            self.output.weight = self.embedding.weight

    def load_vectors(self, matrix: Tensor) -> None:
        """Start with these word vectors (V, E)."""
        load_vectors(self.embedding, matrix)

    def initial(self, rows: int) -> State:
        weight = self.embedding.weight
        return tuple(weight.new_zeros(rows, units) for units in self.units for _ in range(2))

    def read(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        before = self.initial(tokens.size(0)) if state is None else state
        steps, after = self.words(tokens), []  # (B, T, E)
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, nn.LSTM)
            h, c = (part.unsqueeze(0) for part in before[2 * number : 2 * number + 2])
            from_input, from_before, *biases = layer.all_weights[0]
            weights = [from_input, self.kept(from_before), *biases]
            steps, h, c = torch.lstm(self.dropped(steps), (h, c), weights, True, 1, 0.0, self.training, False, True)
            after += [h.squeeze(0), c.squeeze(0)]
        return self.dropped(steps), tuple(after)

    def losses_of(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        assert isinstance(self.output, Softmax | AdaptiveSoftmax)
        loss = self.output.loss(features, target)
        return {} if loss is None else {"loss": loss}

    # Dropouts.

    def words(self, tokens: Tensor) -> Tensor:
        """Vectors of words (B, T, E); in training some words are zeros wherever they stand in the batch."""
        if not (self.training and self.embedding_dropout):
            return self.embedding(tokens)
        keep = F.dropout(self.embedding.weight.new_ones(self.embedding.num_embeddings, 1), self.embedding_dropout)
        return self.embedding(tokens) * keep[tokens]

    def dropped(self, steps: Tensor) -> Tensor:
        """Drop some of (B, T, F) in training."""
        if not self.locked:
            return F.dropout(steps, self.dropout, self.training)
        return steps * F.dropout(torch.ones_like(steps[:, :1]), self.dropout, self.training) if self.training else steps

    def kept(self, weight: Tensor) -> Tensor:
        """Drop some of the weights between hidden units in training."""
        return F.dropout(weight, self.weight_dropout, self.training) if self.weight_dropout else weight
