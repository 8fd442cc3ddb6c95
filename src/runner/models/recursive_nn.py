"""Recursive neural network: one dense layer that makes a node of a tree from its children, over and over.

Source: Socher, Lin, Ng and Manning, Parsing Natural Scenes and Natural Language with Recursive Neural Networks, ICML
2011, equation 5. Departures: any number of children, each weighted by its place; every node may have a token, whose
vector is added by a matrix of its own.

Shape letters: M nodes of one height, C their children, E embedding, H hidden units.
"""

import torch
from torch import Tensor, nn

from runner.models.layers.by_height import ByPlace, Level, TreeNet
from runner.models.ranges import check_size


class RecursiveNN(TreeNet):
    """Logits of each node of a tree.

    Args:
        vocab_size: number of tokens, PAD = 0 included.
        num_outputs: number of classes.
        max_children: children that are told apart; further ones count as the last.
        embed_dim: length E of a token vector.
        hidden_dim: units H of a node.
        ordered: whether each child has weights of its place, or all share theirs.
        dropout: share of token vectors and hidden states dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        max_children: int = 2,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        ordered: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__(vocab_size, num_outputs, embed_dim, hidden_dim, dropout)
        check_size(max_children=max_children)
        self.state_dim = hidden_dim
        self.from_token = nn.Linear(embed_dim, hidden_dim)
        self.from_child = ByPlace(hidden_dim, hidden_dim, max_children if ordered else 1)

    def combine(self, words: Tensor, children: Tensor, level: Level) -> Tensor:
        """Token vectors (M, E) and hidden states of children (C, H) to those of the nodes (M, H)."""
        by_child = self.from_child(children, level.places)  # (C, H)
        return torch.tanh(self.from_token(words).index_add(0, level.parents, by_child))
