"""Classification of trees: one class for each tree, and where the data say so one for every node in it.

The net returns logits of every node (B, N, K); the target holds classes of nodes, int64 (B, N), -100 where there is
none. What is said of a tree is what is said of its root.

Shape letters: B trees, N nodes of the largest, K classes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.brackets import TreeBatch
from runner.tasks.answers import class_answers, class_names
from runner.tasks.classification import Classification
from runner.tasks.means import Mean, Scalars, value_of
from runner.text.vocabulary import PAD

SHORTEST, LONGEST = 3, 12  # nodes of a made-up tree


class TreeClassification(Classification):
    """Loss of all nodes that have a class; accuracy of the trees, and node_accuracy of their nodes."""

    tokens = (0, 1)

    def step(self, batch: Any) -> Scalars:
        return self.of_nodes(self.net(*self.inputs(batch)), batch)

    def evaluation_step(self, batch: Any) -> Scalars:
        logits = self.net(*self.inputs(batch)) / self.softmax_temperature  # (B, N, K)
        self.judge(at_roots(logits, batch[1]), at_roots(labels(batch), batch[1]))
        return self.of_nodes(logits, batch)

    def of_nodes(self, logits: Tensor, batch: Any) -> Scalars:
        """Loss and accuracies of logits (B, N, K)."""
        target = labels(batch)  # (B, N)
        known = target != IGNORE
        nodes, count = self.scalars(logits[known], target[known]), known.sum()
        roots = self.scalars(at_roots(logits, batch[1]), at_roots(target, batch[1]))
        return {
            "loss": Mean(value_of(nodes["loss"]), count),
            "accuracy": roots["accuracy"],
            "node_accuracy": Mean(value_of(nodes["accuracy"]), count),
        }

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        tokens, parents = self.encoded(rows, data)
        logits = at_roots(self.net(tokens, parents), parents) / self.softmax_temperature  # (B, K)
        return class_answers(class_names(data), logits.argmax(dim=1).tolist(), logits.softmax(dim=1).tolist())

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> TreeBatch:
        """Random trees of 3 to 12 nodes, the largest with a root that has many children."""
        tokens, parents, target = torch.zeros(3, rows, LONGEST, dtype=torch.int64)
        for row in range(rows):
            size = max(LONGEST - 2 * row, SHORTEST)
            tokens[row, :size] = torch.randint(2, facts["vocab_size"], (size,), generator=draw)
            for node in range(size):
                near = torch.rand((), generator=draw) < 0.3
                parents[row, node] = min(node + 2, size) if near else size
            target[row, :size] = torch.randint(facts["num_classes"], (size,), generator=draw)
        return TreeBatch(tokens, parents, torch.where(parents != PAD, target, IGNORE))

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        assert data.inputs is not None and data.targets is not None, "trees with classes"
        facts = {"vocab_size": len(data.inputs.vocabulary), **data.targets.facts}  # type: ignore[attr-defined]
        return tuple(self.example(facts, set(), rows, torch.Generator().manual_seed(0))[:2])


def labels(batch: Any) -> Tensor:
    """Return the classes of nodes (B, N); a class for each tree, (B,), is that of its root."""
    *_, parents, target = batch
    if target.ndim == 2:
        return target
    return torch.where(is_root(parents), target.unsqueeze(1), IGNORE)


def is_root(parents: Tensor) -> Tensor:
    """Which nodes are their own parents, (B, N)."""
    return parents == torch.arange(1, parents.size(1) + 1, device=parents.device)


def at_roots(values: Tensor, parents: Tensor) -> Tensor:
    """Return what is said of the roots: (B, N, ...) to (B, ...)."""
    return values[torch.arange(len(values), device=values.device), is_root(parents).int().argmax(dim=1)]
