"""Trees a second, batched by height against node by node: tree_lstm and recursive_nn on made-up list operations.

    python benchmarks/trees.py [--rounds 5] [--trees 64]

The same net reads the same trees in both ways, forward and backward, on the CPU; "node by node" is the recursion of the
papers (tests/node_by_node.py), and the logits of both are compared. What is printed are medians.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from runner.datamodules.trees import Trees
from runner.models.recursive_nn import RecursiveNN
from runner.models.tree_lstm import TreeLSTM

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import node_by_node


def seconds(read: Callable[[], Tensor]) -> float:
    """How long reading the trees and the gradients of their logits take."""
    began = time.perf_counter()
    read().square().mean().backward()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trees", type=int, default=64)
    arguments = parser.parse_args()
    data = Trees(rows=2000)
    data.setup()
    tokens, parents, _ = data.train.gather(torch.arange(arguments.trees), torch.Generator())
    real = tokens > 0
    rows = [(row[row > 0].tolist(), above[row > 0].tolist()) for row, above in zip(tokens, parents, strict=True)]
    print(f"{torch.get_num_threads()} threads, {len(rows)} trees of {real.sum() / len(rows):.0f} nodes in the mean")
    for kind, one_by_one in ((TreeLSTM, node_by_node.tree_lstm), (RecursiveNN, node_by_node.recursive_nn)):
        torch.manual_seed(0)
        net = kind(vocab_size=20, num_outputs=10, max_children=5)
        reads = {
            "batched": lambda net=net: net(tokens, parents)[real],
            "one by one": lambda net=net, one=one_by_one: torch.cat([one(net, *row) for row in rows]),
        }
        apart = (reads["batched"]() - reads["one by one"]()).abs().max().item()
        times = [{name: seconds(read) for name, read in reads.items()} for _ in range(arguments.rounds)]
        speeds = {name: len(rows) / statistics.median(each[name] for each in times) for name in reads}
        ratio = statistics.median(each["one by one"] / each["batched"] for each in times)
        print(f"{kind.__name__}: batched {speeds['batched']:.0f}/s, node by node {speeds['one by one']:.0f}/s; "
              f"{ratio:.1f} times faster; logits at most {apart:.1e} apart", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
