"""The binary tree of all words: a code of the least length, whose probabilities are those of all words."""

import heapq

import pytest
import torch

from runner.models.layers.huffman import HuffmanTree

COUNTS = torch.tensor([50, 1, 7, 7, 200, 3, 0, 0, 12])


@pytest.fixture
def tree() -> HuffmanTree:
    tree = HuffmanTree(len(COUNTS))
    tree.plant(COUNTS)
    return tree


def test_probabilities_of_all_words_sum_to_one(tree):
    scores = torch.randn(len(COUNTS) - 1, dtype=torch.float64)
    nodes, signs = tree(torch.arange(len(COUNTS)))
    probabilities = torch.where(signs == 0, 1.0, torch.sigmoid(signs * scores[nodes])).prod(dim=1)
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)


def test_the_code_is_the_shortest_there_is(tree):
    heap, wanted = COUNTS.tolist(), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        wanted += both
        heapq.heappush(heap, both)
    lengths = (tree.signs != 0).sum(dim=1)
    assert (lengths * COUNTS).sum().item() == wanted
    assert lengths[4] == 1, "the most frequent word is next to the root"


def test_paths_come_back_with_the_weights(tree):
    other = HuffmanTree(len(COUNTS))
    assert not torch.equal(other.parent, tree.parent)
    other.load_state_dict(tree.state_dict())
    for one, two in zip(other(torch.arange(9)), tree(torch.arange(9)), strict=True):
        assert torch.equal(one, two)


def test_two_words_are_one_decision():
    nodes, signs = HuffmanTree(2)(torch.tensor([0, 1]))
    assert nodes.tolist() == [[0], [0]] and sorted(signs.flatten().tolist()) == [-1, 1]
