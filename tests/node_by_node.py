"""Recursive nets written as the papers do, a node at a time: what the batched ones are compared with."""

import torch
from torch import Tensor

from runner.models.recursive_nn import RecursiveNN
from runner.models.tree_lstm import TreeLSTM


def children_of(parents: list[int]) -> list[list[int]]:
    """The children of each node, from parents that are counted from 1."""
    found: list[list[int]] = [[] for _ in parents]
    for number, parent in enumerate(parents):
        if parent - 1 != number:
            found[parent - 1].append(number)
    return found


def tree_lstm(net: TreeLSTM, tokens: list[int], parents: list[int]) -> Tensor:
    """Logits of all nodes (N, K) of one tree: equations 2 to 8 of Tai et al., with the matrices of each place."""
    states: dict[int, tuple[Tensor, Tensor]] = {}
    families, maps = children_of(parents), net.from_child.maps

    def visit(node: int) -> tuple[Tensor, Tensor]:
        word = net.from_token(net.embedding.weight[tokens[node]]).chunk(4)
        inner = [visit(child) for child in families[node]]
        from_child = [maps[min(place, len(maps) - 1)](h).chunk(4) for place, (h, _) in enumerate(inner)]
        enter, leave, new = (word[gate] + sum(each[gate] for each in from_child) for gate in range(3))
        cell = torch.sigmoid(enter) * torch.tanh(new)
        for each, (_, memory) in zip(from_child, inner, strict=True):
            cell = cell + torch.sigmoid(word[3] + each[3]) * memory
        states[node] = torch.sigmoid(leave) * torch.tanh(cell), cell
        return states[node]

    visit(len(tokens) - 1)
    return torch.stack([net.output(states[node][0]) for node in range(len(tokens))])


def recursive_nn(net: RecursiveNN, tokens: list[int], parents: list[int]) -> Tensor:
    """Logits of all nodes (N, K) of one tree: equation 5 of Socher et al., with a token at every node."""
    states: dict[int, Tensor] = {}
    families, maps = children_of(parents), net.from_children.weight.chunk(net.places, dim=1)

    def visit(node: int) -> Tensor:
        total = net.from_token(net.embedding.weight[tokens[node]])
        for place, child in enumerate(families[node]):
            total = total + maps[min(place, len(maps) - 1)] @ visit(child)
        states[node] = torch.tanh(total)
        return states[node]

    visit(len(tokens) - 1)
    return torch.stack([net.output(states[node]) for node in range(len(tokens))])
