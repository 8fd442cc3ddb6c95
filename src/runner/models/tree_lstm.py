"""Tree-LSTM: a memory cell at every node of a tree, with a forget gate of its own for each child.

Source: Tai, Socher and Manning, Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks,
ACL 2015, arXiv:1503.00075: equations 2 to 8 (child-sum), 9 to 14 (N-ary). Departures: every node may have a token, not
only the leaves; the forget gate of an ordered child does not look at its siblings (section 3.2: off-diagonal matrices
may be fixed at zero).

Shape letters: M nodes of one height, C their children, E embedding, H hidden units.
"""

import torch
from torch import Tensor, nn

from runner.models.layers.by_height import ByPlace, Level, TreeNet
from runner.models.ranges import check_size


class TreeLSTM(TreeNet):
    """Logits of each node of a tree.

    Args:
        vocab_size: number of tokens, PAD = 0 included.
        num_outputs: number of classes.
        max_children: children that are told apart where their order matters; further ones count as the last.
        embed_dim: length E of a token vector.
        hidden_dim: units H of a node.
        ordered: whether each child has weights of its place (N-ary), or all share theirs (child-sum).
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
        ordered: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__(vocab_size, num_outputs, embed_dim, hidden_dim, dropout)
        check_size(max_children=max_children)
        self.state_dim = 2 * hidden_dim  # hidden state and memory
        self.from_token = nn.Linear(embed_dim, 4 * hidden_dim)
        self.from_child = ByPlace(hidden_dim, 4 * hidden_dim, max_children if ordered else 1)

    def combine(self, words: Tensor, children: Tensor, level: Level) -> Tensor:
        """Token vectors (M, E) and hidden states and memories of children (C, 2H) to those of the nodes (M, 2H)."""
        size = self.hidden_dim
        hidden, memory = children.split(size, dim=1)  # (C, H) each
        by_token, forget_token = self.from_token(words).split([3 * size, size], dim=1)
        by_child, forget_child = self.from_child(hidden, level.places).split([3 * size, size], dim=1)
        gates = by_token.index_add(0, level.parents, by_child)  # (M, 3H)
        enter, leave, new = gates.split(size, dim=1)
        kept = torch.sigmoid(forget_token.index_select(0, level.parents) + forget_child) * memory  # (C, H)
        cell = (torch.sigmoid(enter) * torch.tanh(new)).index_add(0, level.parents, kept)  # (M, H)
        return torch.cat([torch.sigmoid(leave) * torch.tanh(cell), cell], dim=1)
