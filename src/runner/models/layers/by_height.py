"""Trees, batched by height: all nodes of one height, in all trees of a batch, are computed at once.

A batch of trees is two tables (B, N) of its nodes: the token of each, and its parent, counted from 1. A root is its own
parent, 0 is padding in both, and the children of a node have the order of their columns.

Source: dynamic batching by depth: Looks et al., 2017, arXiv:1702.02181, section 2.1.

Shape letters: B trees, N nodes of the largest, M nodes of one height, C their children, E embedding, S numbers that a
node hands to its parent, the first H of which are its hidden state.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.ranges import check_share, check_size


class Level(NamedTuple):
    """The nodes of one height; nodes are numbered in the order in which they are computed.

    Attributes:
        nodes: their places in the flat table (B * N), (M,).
        children: numbers of all their children, (C,).
        parents: to which of the M nodes each child belongs, ascending, (C,).
        places: whether it is the first (0), second (1) ... child of that node, (C,).
    """

    nodes: Tensor
    children: Tensor
    parents: Tensor
    places: Tensor


def levels(parents: Tensor) -> Iterator[Level]:
    """Yield the nodes of trees by height, leaves first.

    Args:
        parents: of each node, counted from 1; a root is its own, 0 is padding; int64 (B, N).
    """
    trees, width = parents.shape
    own = torch.arange(trees * width, device=parents.device)  # (B * N,)
    first = torch.arange(trees, device=parents.device).unsqueeze(1) * width  # of each tree
    real, above = parents.flatten() > 0, (parents - 1 + first).flatten()  # (B * N,)
    child = (real & (above != own)).nonzero().squeeze(1)
    above = above[child]  # the parent of each
    height = torch.zeros_like(own)
    for _ in range(width):
        taller = height.scatter_reduce(0, above, height[child] + 1, "amax")
        if torch.equal(taller, height):
            break
        height = taller
    nodes = real.nonzero().squeeze(1)
    nodes = nodes[height[nodes].argsort(stable=True)]
    number = torch.empty_like(own)
    number[nodes] = torch.arange(len(nodes), device=own.device)
    child = child[number[above].argsort(stable=True)]  # by parent, which is also by the parent's height
    above = (parents - 1 + first).flatten()[child]
    above_number = number[above]
    places = torch.arange(len(child), device=own.device) - torch.searchsorted(above_number, above_number)
    sizes = height[nodes].bincount().tolist()
    families = height[above].bincount(minlength=len(sizes)).tolist() if len(child) else [0] * len(sizes)
    begin = family = 0
    for size, members in zip(sizes, families, strict=True):
        of_level = slice(family, family + members)
        yield Level(
            nodes[begin : begin + size], number[child[of_level]], above_number[of_level] - begin, places[of_level]
        )
        begin, family = begin + size, family + members


class TreeNet(nn.Module):
    """Logits of each node, from what the node and its children say. A subclass writes `combine`.

    Args:
        vocab_size: number of tokens, PAD = 0 included.
        num_outputs: number of classes.
        embed_dim: length E of a token vector.
        hidden_dim: length H of a node's hidden state.
        dropout: share of token vectors and hidden states dropped in training, in [0, 1).
    """

    no_export = "how often it loops depends on the trees it is given"
    state_dim: int  # S

    def __init__(self, vocab_size: int, num_outputs: int, embed_dim: int, hidden_dim: int, dropout: float):
        super().__init__()
        check_size(vocab_size=vocab_size, num_outputs=num_outputs, embed_dim=embed_dim, hidden_dim=hidden_dim)
        check_share(dropout=dropout)
        self.hidden_dim, self.dropout = hidden_dim, dropout
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        self.output = nn.Linear(hidden_dim, num_outputs)

    def forward(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Tokens and parents of the nodes, both int64 (B, N), to logits (B, N, K); of padding they mean nothing."""
        found = list(levels(parents))
        order = torch.cat([parents.new_zeros(0), *(level.nodes for level in found)])  # as they are computed
        words = F.dropout(self.embedding(tokens.flatten().index_select(0, order)), self.dropout, self.training)
        states = words.new_zeros(0, self.state_dim)
        for level, of_level in zip(found, words.split([len(level.nodes) for level in found]), strict=True):
            state = self.combine(of_level, states.index_select(0, level.children), level)  # (M, S)
            states = torch.cat([states, state])
        hidden = words.new_zeros(tokens.numel(), self.hidden_dim).index_copy(0, order, states[:, : self.hidden_dim])
        hidden = F.dropout(hidden.view(*tokens.shape, -1), self.dropout, self.training)  # (B, N, H)
        return self.output(hidden)

    def combine(self, words: Tensor, children: Tensor, level: Level) -> Tensor:
        """Token vectors (M, E) and the states of the children (C, S) to the states of the nodes (M, S)."""
        raise NotImplementedError(f"{type(self).__name__} has to define combine(words, children, level)")

    def load_vectors(self, matrix: Tensor) -> None:
        """Start from pretrained word vectors (V, E)."""
        with torch.no_grad():
            self.embedding.weight.copy_(matrix)


class ByPlace(nn.Module):
    """A linear map of each child, another one for the first, the second ...; the last one for all that follow.

    Args:
        in_features: numbers of a child.
        out_features: numbers returned for it.
        places: how many maps there are; 1 = all children share one, so that their order does not matter.
    """

    def __init__(self, in_features: int, out_features: int, places: int):
        super().__init__()
        self.out_features = out_features
        self.maps = nn.ModuleList(nn.Linear(in_features, out_features, bias=False) for _ in range(places))

    def forward(self, children: Tensor, places: Tensor) -> Tensor:
        """Children (C, in) and the place of each, int64 (C,), to (C, out)."""
        if len(self.maps) == 1:
            return self.maps[0](children)
        made = children.new_zeros(len(children), self.out_features)
        for place, each in enumerate(self.maps):
            last = place == len(self.maps) - 1
            at = (places >= place if last else places == place).nonzero().squeeze(1)
            made = made.index_copy(0, at, each(children.index_select(0, at)))
        return made
