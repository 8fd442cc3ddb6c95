"""A binary tree of all words in which frequent words are near the root: hierarchical softmax.

Sources: Frederic Morin and Yoshua Bengio, Hierarchical Probabilistic Neural Network Language Model, AISTATS 2005; the
tree is the code of David Huffman, 1952, as in Tomas Mikolov et al. 2013, arXiv:1310.4546, section 2.1: the probability
of a word is the product of the decisions, left or right, on the path from the root to it.

Shape letters: V words, L decisions of the longest path.
"""

from heapq import heapify, heappop, heapreplace

import torch
from torch import Tensor, nn


class HuffmanTree(nn.Module):
    """The paths of all words. The tree of a new net is that of words in the order of their frequency (Zipf's law).

    Args:
        vocab_size: words V, at least 2; the tree has V - 1 inner nodes.
    """

    parent: Tensor
    nodes: Tensor
    signs: Tensor

    def __init__(self, vocab_size: int):
        super().__init__()
        self.register_buffer("parent", torch.empty(2 * vocab_size - 1, dtype=torch.int64))
        self.register_buffer("nodes", torch.empty(0), persistent=False)
        self.register_buffer("signs", torch.empty(0), persistent=False)
        self.register_load_state_dict_post_hook(lambda *_: self.find_paths())
        self.plant(1 / torch.arange(1, vocab_size + 1, dtype=torch.float64))

    def plant(self, counts: Tensor) -> None:
        """Build the tree for words that occur so often (V,); leaves are 0 .. V - 1, the root is 2 V - 2."""
        heap = [(count, number) for number, count in enumerate(counts.tolist())]
        heapify(heap)
        words = len(heap)
        parent = [0] * (2 * words - 1)  # ~node: the word is the second child
        for node in range(words, 2 * words - 1):
            (one, first), (other, second) = heappop(heap), heap[0]
            parent[first], parent[second] = node, ~node
            heapreplace(heap, (one + other, node))
        parent[-1] = 2 * words - 2  # the root is its own parent
        self.parent.copy_(torch.tensor(parent))
        self.find_paths()

    def find_paths(self) -> None:
        """Follow the parents of all words up to the root."""
        root = len(self.parent) - 1
        words = root // 2 + 1
        nodes, signs, place = [], [], torch.arange(words, device=self.parent.device)
        while (going := place != root).any():
            parent = self.parent[place]
            place = torch.where(parent < 0, ~parent, parent)
            nodes.append(torch.where(going, place - words, 0))
            signs.append(torch.where(going, torch.where(parent < 0, -1.0, 1.0), 0.0))
        self.nodes, self.signs = torch.stack(nodes, 1), torch.stack(signs, 1)

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Words (...) to the inner nodes on their paths, 0 .. V - 2, int64 (..., L), and the decisions there, +1 or -1,
        0 where a path has ended, (..., L)."""
        return self.nodes[words], self.signs[words]
