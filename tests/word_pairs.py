"""Small contexts and tables of vectors, and the paths of words in a tree: what the tests of word vectors share."""

import numpy as np
import torch

from runner.datamodules.parts.contexts import Contexts, ContextSplit

WORDS = 12


def contexts() -> Contexts:
    """Two documents in rows of four words, with five negatives each."""
    tokens = np.random.default_rng(0).integers(2, WORDS, 17)
    documents, counts = np.array([[0, 10], [10, 17]]), np.bincount(tokens, minlength=WORDS)
    text = ContextSplit(tokens, documents, counts, window=2, sample=None, noise=5, row_len=4)
    return text.gather(torch.arange(2), torch.Generator().manual_seed(0))


def trained_tables(net_class, **settings):
    """A net whose two tables hold numbers, float64."""
    torch.manual_seed(0)
    net = net_class(WORDS, embed_dim=6, **settings).double()
    for table in (net.words, net.outputs):
        torch.nn.init.normal_(table.weight, std=0.7)
    return net


def sigmoid(score: float) -> float:
    return 1 / (1 + np.exp(-score))


def path_of(net, word: int) -> list[tuple[int, int]]:
    """The inner nodes from a word up to the root and the decisions there, by following the parents."""
    path, parents = [], net.tree.parent.tolist()
    while word != len(parents) - 1:
        parent = parents[word]
        word = parent if parent >= 0 else ~parent
        path.append((word - WORDS, 1 if parent >= 0 else -1))
    return path
