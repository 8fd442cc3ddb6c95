"""Recursive neural network: one dense layer that makes a node of a tree from its children, over and over.

Source: Socher, Lin, Ng and Manning, Parsing Natural Scenes and Natural Language with Recursive Neural Networks, ICML
2011, equation 5. Departures: any number of children, each weighted by its place; every node may have a token, whose
vector is added by a matrix of its own.

Shape letters: M nodes of one height, C their children, E embedding, H hidden units.
"""

import torch
from torch import Tensor, nn

from runner.models.layers.by_height import Level, TreeNet
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
        self.places = max_children if ordered else 1
        self.from_children = nn.Linear(self.places * hidden_dim, hidden_dim, bias=False)

    def combine(self, words: Tensor, children: Tensor, level: Level) -> Tensor:
        """Token vectors (M, E) and hidden states of children (C, H) to those of the nodes (M, H)."""
        slots = level.parents * self.places + level.places.clamp(max=self.places - 1)  # (C,)
        side_by_side = words.new_zeros(len(words) * self.places, self.hidden_dim).index_add(0, slots, children)
        return torch.tanh(self.from_token(words) + self.from_children(side_by_side.view(len(words), -1)))
