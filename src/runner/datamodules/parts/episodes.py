"""Episodes: a few examples of each of some classes, and others of the same classes that are to be told apart.

An episode is drawn anew whenever it is asked for, from the generator that a split is given: classes without
replacement, each as likely as any other however many examples it has, then different examples of each class.

Sources: Oriol Vinyals et al., Matching Networks for One Shot Learning, NIPS 2016, arXiv:1606.04080, section 2.2; images
turned by 90, 180 and 270 degrees are classes of their own: section 4.1.1.

Shape letters: B episodes, N classes of an episode (ways), K examples of each that are shown (shots), Q examples in
question, C classes, M examples of the largest class, T turns.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import Split

QUARTERS = 4  # turns of an image by 90 degrees


class FewShots(NamedTuple):
    """Examples in question (B, Q, ...), the examples that are shown (B, N, K, ...), the class of each (B, Q)."""

    query: Tensor
    support: Tensor
    target: Tensor


class EpisodeSplit:
    """Episodes from the rows of another split.

    Args:
        rows: the split with the examples; its batches have one input and the target.
        classes: class number of each of its rows, (rows,).
        kept: the classes that episodes are drawn from, each with at least shots + queries rows; at least `way` of them,
            or of their turns.
        way: classes of an episode, at least 2.
        shots: examples of each class that are shown, at least 1.
        queries: examples of each class that are in question, at least 1.
        size: episodes of an epoch.
        turned: whether an image turned by 90, 180 or 270 degrees is of another class.
    """

    def __init__(
        self,
        rows: Split,
        classes: np.ndarray,
        kept: Sequence[int],
        way: int,
        shots: int,
        queries: int,
        size: int,
        turned: bool = False,
    ):
        members = [np.flatnonzero(classes == number) for number in kept]
        self.turns = QUARTERS if turned else 1
        assert len(members) * self.turns >= way, "there are enough classes"
        assert min(map(len, members)) >= shots + queries, "classes with too few rows are left out before"
        self.rows, self.way, self.shots, self.queries, self.size = rows, way, shots, queries, size
        self.counts = torch.tensor([len(found) for found in members])  # (C,)
        self.members = torch.zeros(len(members), int(self.counts.max()), dtype=torch.int64)  # (C, M)
        for place, found in enumerate(members):
            self.members[place, : len(found)] = torch.from_numpy(found)

    def __len__(self) -> int:
        return self.size

    def drawn(self, episodes: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the rows of each class, (B, N, K + Q / N), and by how many quarters each class is turned, (B, N)."""
        order = torch.rand(episodes, len(self.members) * self.turns, generator=draw).argsort(dim=1)  # (B, C * T)
        picked, quarters = order[:, : self.way] // self.turns, order[:, : self.way] % self.turns  # (B, N)
        keys = torch.rand(episodes, self.way, self.members.size(1), generator=draw)  # (B, N, M)
        beyond = torch.arange(self.members.size(1)) >= self.counts[picked].unsqueeze(2)
        each = keys.masked_fill(beyond, 2.0).topk(self.shots + self.queries, dim=2, largest=False).indices
        return self.members[picked].gather(2, each), quarters

    def gather(self, index: Tensor, draw: torch.Generator) -> FewShots:
        rows, quarters = self.drawn(len(index), draw)
        found = self.rows.gather(rows.flatten(), draw)[0].unflatten(0, rows.shape)  # (B, N, K + Q / N, ...)
        for quarter in range(1, self.turns):
            found[quarters == quarter] = found[quarters == quarter].rot90(quarter, (-2, -1))
        query = found[:, :, self.shots :].flatten(1, 2)  # (B, Q, ...)
        target = torch.arange(self.way).repeat_interleave(self.queries).expand(len(index), -1)
        return FewShots(query, found[:, :, : self.shots], target)
