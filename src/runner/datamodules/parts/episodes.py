"""Episodes: a few examples of each of some classes, and one more example whose class among these is to be found.

An episode is drawn anew whenever it is asked for, from the generator that a split is given: classes without
replacement, each as likely as any other however many examples it has, then different examples of each class.

Source: Oriol Vinyals et al., Matching Networks for One Shot Learning, NIPS 2016, arXiv:1606.04080, section 2.2.

Shape letters: B episodes, N classes of an episode (ways), K examples of each (shots), C classes, M examples of the
largest class.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import Split


class FewShots(NamedTuple):
    """An example each (B, ...), the examples it is compared with (B, N, K, ...), and which class is its own (B,)."""

    query: Tensor
    support: Tensor
    target: Tensor


class EpisodeSplit:
    """Episodes from the rows of another split.

    Args:
        rows: the split with the examples; its batches have one input and the target.
        classes: class number of each of its rows, (rows,).
        kept: the classes that episodes are drawn from, at least `way`, each with more than `shots` rows.
        way: classes of an episode, at least 2.
        shots: examples of each class of an episode, besides the one in question.
        size: episodes of an epoch.
    """

    def __init__(self, rows: Split, classes: np.ndarray, kept: Sequence[int], way: int, shots: int, size: int):
        members = [np.flatnonzero(classes == number) for number in kept]
        assert len(members) >= way and min(map(len, members)) > shots, "classes with too few rows are left out before"
        self.rows, self.way, self.shots, self.size = rows, way, shots, size
        self.counts = torch.tensor([len(found) for found in members])  # (C,)
        self.members = torch.zeros(len(members), int(self.counts.max()), dtype=torch.int64)  # (C, M)
        for place, found in enumerate(members):
            self.members[place, : len(found)] = torch.from_numpy(found)

    def __len__(self) -> int:
        return self.size

    def drawn(self, episodes: int, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw rows: of the queries (B,), of what they are compared with (B, N, K), and the right places (B,)."""
        picked = torch.rand(episodes, len(self.members), generator=draw).argsort(dim=1)[:, : self.way]  # (B, N)
        target = torch.randint(self.way, (episodes,), generator=draw)  # (B,)
        keys = torch.rand(episodes, self.way, self.members.size(1), generator=draw)  # (B, N, M)
        beyond = torch.arange(self.members.size(1)) >= self.counts[picked].unsqueeze(2)
        places = keys.masked_fill(beyond, 2.0).topk(self.shots + 1, dim=2, largest=False).indices  # (B, N, K + 1)
        rows = self.members[picked].gather(2, places)
        return rows[torch.arange(episodes), target, -1], rows[:, :, :-1], target

    def gather(self, index: Tensor, draw: torch.Generator) -> FewShots:
        query, support, target = self.drawn(len(index), draw)
        found = self.rows.gather(torch.cat([query, support.flatten()]), draw)[0]  # (B + B * N * K, ...)
        compared = found[len(index) :].unflatten(0, (len(index), self.way, self.shots))
        return FewShots(found[: len(index)], compared, target)
