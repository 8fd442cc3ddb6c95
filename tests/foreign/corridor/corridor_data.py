"""An environment in place of a dataset: a corridor with a treasure at its right end and a pit at its left.

Nothing is read from anywhere: a split hands out where walkers start and what they draw, and the objective walks.

Shape letters: B walkers.
"""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import NumberInputs
from runner.datamodules.parts.prepared import Prepared

LEFT, RIGHT = 0, 1


class Chances(NamedTuple):
    """Of B walkers: where one starts anew (B, 1), a number 0 .. 1 that says whether it explores (B,), and how (B,)."""

    start: Tensor
    curiosity: Tensor
    target: Tensor


class Corridor:
    """Places -1 .. 1, `length` of them; a step to either end closes an episode.

    Args:
        length: places, both ends included.
    """

    def __init__(self, length: int):
        self.length = length

    def starts(self, walkers: int, draw: torch.Generator) -> Tensor:
        """Return places inside the corridor, (B, 1)."""
        return self.place(torch.randint(1, self.length - 1, (walkers, 1), generator=draw))

    def place(self, number: Tensor) -> Tensor:
        return 2 * number / (self.length - 1) - 1

    def step(self, place: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next place (B, 1), the reward (B,) and whether the episode is over (B,)."""
        after = place + (4 * action - 2).unsqueeze(1) / (self.length - 1)
        won, lost = (after > 0.999).squeeze(1), (after < -0.999).squeeze(1)
        return after, won.float() - lost.float() - 0.01, won | lost


class Walks:
    """A split without rows.

    Args:
        world: where the walkers walk.
        steps: steps of all walkers in an epoch; in evaluation, episodes.
    """

    def __init__(self, world: Corridor, steps: int):
        self.world, self.steps = world, steps

    def __len__(self) -> int:
        return self.steps

    def gather(self, index: Tensor, draw: torch.Generator) -> Chances:
        walkers = len(index)
        return Chances(
            self.world.starts(walkers, draw),
            torch.rand(walkers, generator=draw),
            torch.randint(2, (walkers,), generator=draw),
        )


@dataclass(kw_only=True, eq=False, repr=False)
class CorridorWorld(DataModule):
    """The corridor.

    Args:
        in_features: declared number of observations, 1: the place.
        num_actions: declared number of actions, 2: left and right.
        length: places, both ends included.
        steps: steps of all walkers in an epoch.
        episodes: of a validation or a test.
    """

    in_features: int = 1
    num_actions: int = 2
    length: int = 9
    steps: int = 400
    episodes: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        self.world = Corridor(self.length)

    def prepare(self) -> Prepared:
        return Prepared(
            NumberInputs(["place"], mean=[0.0], std=[1.0]),
            targets=None,
            train=Walks(self.world, self.steps),
            val=Walks(self.world, self.episodes),
            test=Walks(self.world, self.episodes),
            rows=None,
            source=f"made while it is used: a corridor of {self.length} places",
            digest=hashlib.sha256(f"corridor {self.length} {self.episodes}".encode()).hexdigest(),
            facts={"in_features": 1, "num_actions": 2},
        )
