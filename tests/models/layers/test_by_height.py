"""The order in which nodes are computed, and equality with nets that go from node to node."""

import node_by_node
import pytest
import torch

from runner.models.layers.by_height import levels
from runner.models.recursive_nn import RecursiveNN
from runner.models.tree_lstm import TreeLSTM


def random_trees(trees: int, largest: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and parents (B, N) of random trees, the root of each last."""
    tokens, parents = torch.zeros(2, trees, largest, dtype=torch.int64)
    for row in range(trees):
        size = int(torch.randint(1, largest + 1, ()))
        tokens[row, :size] = torch.randint(1, 9, (size,))
        parents[row, :size] = torch.tensor(
            [int(torch.randint(node + 1, size, ())) + 1 for node in range(size - 1)] + [size]
        )
    return tokens, parents


def test_a_node_comes_after_its_children() -> None:
    # 0 1   3 4 (one tree: 2 over 0 and 1, 5 over 3 and 4, 6 over 2 and 5), and a single node
    parents = torch.tensor([[3, 3, 7, 6, 6, 7, 7], [1, 0, 0, 0, 0, 0, 0]])
    leaves, middle, top = levels(parents)
    assert leaves.nodes.tolist() == [0, 1, 3, 4, 7]
    assert leaves.children.tolist() == []
    assert middle.nodes.tolist() == [2, 5]
    assert middle.children.tolist() == [0, 1, 2, 3]
    assert (middle.parents.tolist(), middle.places.tolist()) == ([0, 0, 1, 1], [0, 1, 0, 1])
    assert top.nodes.tolist() == [6]
    assert top.children.tolist() == [5, 6], "the sixth and the seventh node that was computed"


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(
    ("kind", "one_by_one"), [(TreeLSTM, node_by_node.tree_lstm), (RecursiveNN, node_by_node.recursive_nn)]
)
def test_batched_equals_node_by_node(kind, one_by_one, ordered) -> None:
    net = kind(vocab_size=9, num_outputs=3, max_children=3, embed_dim=5, hidden_dim=4, ordered=ordered).double()
    tokens, parents = random_trees(7, 20)
    together = net(tokens, parents)
    grads = torch.autograd.grad(together[tokens > 0].square().sum(), list(net.parameters()))
    alone = torch.cat(
        [
            one_by_one(net, row[row > 0].tolist(), above[row > 0].tolist())
            for row, above in zip(tokens, parents, strict=True)
        ]
    )
    torch.testing.assert_close(together[tokens > 0], alone)
    for ours, theirs in zip(grads, torch.autograd.grad(alone.square().sum(), list(net.parameters())), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_order_of_children_counts_where_it_should() -> None:
    tokens, swapped = torch.tensor([[1, 2, 3]]), torch.tensor([[2, 1, 3]])
    parents = torch.tensor([[3, 3, 3]])
    for ordered in (True, False):
        net = TreeLSTM(vocab_size=9, num_outputs=3, ordered=ordered)
        same = torch.allclose(net(tokens, parents)[:, -1], net(swapped, parents)[:, -1], atol=1e-6)
        assert same is not ordered


def test_cycles_end() -> None:
    """Parents that go round in circles are no tree; what comes of them is not important, but it comes."""
    list(levels(torch.tensor([[2, 1, 3]])))
