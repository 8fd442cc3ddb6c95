"""An environment of Gymnasium in place of a dataset: the pole on a cart, or any other with numbered actions.

Nothing is read from anywhere. A training split hands out what is drawn at random for each step, the others the seeds of
their episodes; the objective acts.

Source: the pole on a cart is of Barto, Sutton and Anderson, 1983, doi:10.1109/TSMC.1983.6313077; Gymnasium: Towers et
al., 2024, arXiv:2407.17032.

Shape letters: B steps or episodes, F features of an observation.
"""

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import NumberInputs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import PARTS
from runner.errors import UserError, first_line

OBSERVED = {
    "CartPole-v0": ["cart_position", "cart_velocity", "pole_angle", "pole_velocity"],
    "CartPole-v1": ["cart_position", "cart_velocity", "pole_angle", "pole_velocity"],
    "MountainCar-v0": ["car_position", "car_velocity"],
}
ACTIONS = {
    "CartPole-v0": ["left", "right"],
    "CartPole-v1": ["left", "right"],
    "MountainCar-v0": ["left", "nothing", "right"],
}


class Chances(NamedTuple):
    """For each of B steps, in their order: a number in [0, 1) that says whether it explores, and with which action."""

    curiosity: Tensor
    target: Tensor


class Seeds(NamedTuple):
    """The seeds of B episodes, int64 (B,)."""

    target: Tensor


class StepsToTake:
    """A training split: steps in the environment.

    Args:
        steps: of an epoch.
        num_actions: that there are.
    """

    def __init__(self, steps: int, num_actions: int):
        self.steps, self.num_actions = steps, num_actions

    def __len__(self) -> int:
        return self.steps

    def gather(self, index: Tensor, draw: torch.Generator) -> Chances:
        steps = len(index)
        return Chances(torch.rand(steps, generator=draw), torch.randint(self.num_actions, (steps,), generator=draw))


class Episodes:
    """A validation or test split: whole episodes.

    Args:
        seeds: of each, int64 (N,).
    """

    def __init__(self, seeds: Tensor):
        self.seeds = seeds

    def __len__(self) -> int:
        return len(self.seeds)

    def gather(self, index: Tensor, draw: torch.Generator) -> Seeds:
        return Seeds(self.seeds[index])


class World:
    """An environment whose observations are rows of numbers (F,), float32, and whose actions count from 0.

    Args:
        environment: of Gymnasium.
    """

    def __init__(self, environment: Any):
        from gymnasium.spaces.utils import flatten

        self.environment, self.flatten = environment, flatten
        self.space = environment.observation_space
        self.first = int(environment.action_space.start)

    def begin(self, seed: int) -> np.ndarray:
        """Begin an episode; return what is observed."""
        return self.seen(self.environment.reset(seed=seed)[0])

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """Act; return what is observed, the reward, whether that was an end, and whether the episode is over.

        An episode that is cut off after its longest time is over, but the agent could have gone on.
        """
        observed, reward, ended, cut_off, _ = self.environment.step(self.first + action)
        return self.seen(observed), float(reward), ended, ended or cut_off

    def seen(self, observed: Any) -> np.ndarray:
        return np.asarray(self.flatten(self.space, observed), dtype=np.float32)

    def frame(self) -> np.ndarray:
        """Draw what is going on: (H, W, 3), 0 .. 255."""
        return self.environment.render()


@dataclass(kw_only=True, eq=False, repr=False)
class CartPole(DataModule):
    """The pole on a cart, or another environment with numbered actions.

    Args:
        environment: its name in Gymnasium.
        in_features: declared number of observations F; positions of a grid count one each.
        num_actions: declared number of actions.
        steps: steps of an epoch, at least 1.
        batch_size: steps between two training steps, at least 1.
        val_episodes: episodes of a validation, at least 1.
        test_episodes: episodes of the test, at least 1.
        longest: steps after which an episode is cut off, at least 1; None = as the environment says.
    """

    environment: str = "CartPole-v1"
    in_features: int = 4
    num_actions: int = 2
    steps: int = 5000
    batch_size: int = 4
    val_episodes: int = 20
    test_episodes: int = 100
    longest: int | None = None

    def world(self, drawn: bool = False) -> World:
        """Make the environment.

        Args:
            drawn: whether `World.frame` will be asked for.

        Raises:
            UserError: there is none of this name, it cannot be drawn, or its actions or episodes have no end.
        """
        if importlib.util.find_spec("gymnasium") is None:
            raise UserError('data=cartpole needs the package gymnasium: pip install "runner[rl]"')
        import gymnasium

        if drawn:  # into memory: no screen is needed, nor looked for
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        try:
            made = gymnasium.make(
                self.environment,
                render_mode="rgb_array" if drawn else None,
                max_episode_steps=self.longest,
                disable_env_checker=True,
            )
        except (gymnasium.error.Error, ImportError, ValueError) as error:  # whatever a package of environments raises
            raise UserError(f"data.environment={self.environment} cannot be made: {first_line(error)}") from error
        if not isinstance(made.action_space, gymnasium.spaces.Discrete):
            raise UserError(
                f"data.environment={self.environment} has the actions {made.action_space}; values can be learned only "
                "of actions that are numbered, such as those of CartPole-v1"
            )
        if made.spec is None or made.spec.max_episode_steps is None:
            raise UserError(f"the episodes of {self.environment} may last forever: cut them off with data.longest=500")
        return World(made)

    def seeds(self, part: str, episodes: int) -> Tensor:
        """Return the seeds of validation or test episodes, int64; those of all splits differ."""
        return torch.tensor([self.seed_of(PARTS.index(part), self.split_seed, one) for one in range(episodes)])

    def training_seed(self, rank: int, episode: int) -> int:
        """Return the seed of a training episode of a process."""
        return self.seed_of(PARTS.index("train"), self.seed, rank, episode)

    def seed_of(self, *numbers: int) -> int:
        return int(np.random.SeedSequence(numbers).generate_state(1)[0])

    @property
    def action_names(self) -> list[str]:
        """What the actions are called."""
        return ACTIONS.get(self.environment) or [str(number) for number in range(self.num_actions)]

    def prepare(self) -> Prepared:
        world = self.world()
        import gymnasium

        width, actions = gymnasium.spaces.utils.flatdim(world.space), int(world.environment.action_space.n)
        names = OBSERVED.get(self.environment) or [f"x{number}" for number in range(width)]
        about = f"{self.environment} {self.longest} {self.val_episodes} {self.test_episodes} {self.split_seed}"
        return Prepared(
            NumberInputs(names, mean=[0.0] * width, std=[1.0] * width),
            targets=None,
            train=StepsToTake(self.steps, self.num_actions),
            val=Episodes(self.seeds("val", self.val_episodes)),
            test=Episodes(self.seeds("test", self.test_episodes)),
            rows=None,
            source=f"made while it is used: {self.environment} of gymnasium {gymnasium.__version__}",
            digest=hashlib.sha256(about.encode()).hexdigest(),
            facts={"in_features": width, "num_actions": actions},
        )
