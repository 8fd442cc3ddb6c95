"""Deep Q-learning: an agent acts in an environment, remembers its steps, and learns from remembered ones.

The net returns the value Q(s, a) of each action: the reward that is still to come, later rewards discounted.

Source: Mnih et al., Human-level control through deep reinforcement learning, Nature 518, 2015, algorithm 1 (replay
memory, target network, clipped errors); van Hasselt, Guez and Silver, 2015, arXiv:1509.06461 (double); Lillicrap et
al., 2015, arXiv:1509.02971 (soft updates of the target network). Departure: an episode that is cut off is no end, so
the value of what would have come is learned (Pardo et al., 2018, arXiv:1712.00378).

Shape letters: B remembered steps or episodes, F features of an observation, A actions.
"""

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.cartpole import CartPole, Chances, Seeds
from runner.errors import UserError
from runner.figures.animation import animated
from runner.files.atomic import write_atomically
from runner.tasks.base import Measure, Task
from runner.tasks.means import Mean, Scalars

log = logging.getLogger(__name__)


class Remembered(NamedTuple):
    """Steps that were taken: from where (B, F), to where (B, F), whether that was an end (B,), the reward (B,), and
    the action (B,), int64."""

    before: Tensor
    after: Tensor
    ended: Tensor
    reward: Tensor
    target: Tensor


class Replay:
    """The newest steps, in a ring of arrays.

    Args:
        size: steps that are kept.
        width: features F of an observation.
    """

    def __init__(self, size: int, width: int):
        self.ring: tuple[
            np.ndarray, ...
        ] = (  # as in Remembered; a tensor takes ten times as long to be written to step by step
            np.zeros((size, width), dtype=np.float32),
            np.zeros((size, width), dtype=np.float32),
            np.zeros(size, dtype=bool),
            np.zeros(size, dtype=np.float32),
            np.zeros(size, dtype=np.int64),
        )
        self.tensors = Remembered(*map(torch.from_numpy, self.ring))  # the same memory
        self.size, self.taken = size, 0  # steps taken so far

    def __len__(self) -> int:
        return min(self.taken, self.size)

    def add(self, *step: Any) -> None:
        """Remember a step in place of the oldest one."""
        place = self.taken % self.size
        for column, value in zip(self.ring, step, strict=True):
            column[place] = value
        self.taken += 1

    def sample(self, rows: int) -> Remembered:
        """Draw steps, each as likely as any other."""
        picked = torch.randint(len(self), (rows,))
        return Remembered(*(column.index_select(0, picked) for column in self.tensors))

    def state(self) -> dict:
        return {"taken": self.taken, "steps": [column[: len(self)] for column in self.tensors]}

    def load_state(self, state: dict) -> None:
        self.taken = state["taken"]
        for column, steps in zip(self.tensors, state["steps"], strict=True):
            column[: len(self)] = steps


class Agent:
    """Acts in one training episode after another.

    An episode that begins with the same seed goes the same way if the actions are the same, in any environment; so the
    number of an episode and its actions so far say all that has to be kept of it.

    Args:
        data: makes the environment and says with which seed an episode begins.
        rank: number of this process.
        episode: number of the episode.
        actions: those of the episode that are already taken.
    """

    def __init__(self, data: CartPole, rank: int, episode: int = 0, actions: Sequence[int] = ()):
        self.data, self.rank, self.world = data, rank, data.world()
        self.begin(episode)
        for action in actions:
            self.step(action)

    def begin(self, episode: int) -> None:
        self.episode, self.actions, self.earned = episode, list[int](), 0.0
        self.place = self.world.begin(self.data.training_seed(self.rank, episode))

    def step(self, action: int) -> tuple[float, bool, bool]:
        """Act; return the reward, whether that was an end, and whether the episode is over: then comes `begin`."""
        self.place, reward, ended, over = self.world.step(action)
        self.actions.append(action)
        self.earned += reward
        return reward, ended, over

    def state(self) -> dict:
        return {"episode": self.episode, "actions": list(self.actions)}


class DeepQLearning(Task):
    """Loss of the difference between Q(s, a) and the reward plus the discounted value of what came next.

    Args:
        net: maps observations (B, F) to the value of each action (B, A).
        num_outputs: actions A.
        discount: weight of the next step's value, in [0, 1].
        double: whether the net picks the next action and the target net values it; otherwise the target net does both.
        clip_errors: whether an error above 1 has the gradient of 1 (Huber's loss); otherwise errors are squared, so
            that the few steps that end an episode count more.
        memory_size: steps remembered, at least 1.
        replay_rows: remembered steps of a training step, at least 1.
        warm_up: random steps before the first training step, at least 1.
        refresh: training steps between two updates of the target net, at least 1.
        tau: share by which the target net then moves to the net, in [0, 1]; 1 = it becomes a copy.
        epsilon_start: share of the first steps that are random, in [0, 1].
        epsilon_end: share of the later steps that are random, in [0, 1].
        epsilon_steps: steps from the first share to the other, in even decrements, at least 1.
    """

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        discount: float = 0.99,
        double: bool = True,
        clip_errors: bool = True,
        memory_size: int = 50_000,
        replay_rows: int = 128,
        warm_up: int = 1000,
        refresh: int = 100,
        tau: float = 1.0,
        epsilon_start: float = 1.0,
        epsilon_end: float = 0.05,
        epsilon_steps: int = 8000,
    ):
        super().__init__(net)
        self.num_outputs, self.discount, self.picks_itself = num_outputs, discount, double
        self.loss = F.smooth_l1_loss if clip_errors else F.mse_loss
        self.memory_size, self.replay_rows, self.warm_up = memory_size, replay_rows, warm_up
        self.refresh, self.tau = refresh, tau
        self.epsilon_start, self.epsilon_end, self.epsilon_steps = epsilon_start, epsilon_end, epsilon_steps
        self.target_net = copy.deepcopy(net).requires_grad_(False)
        self.data: CartPole | None = None
        self.agent: Agent | None = None
        self.memory: Replay | None = None
        self.resumed: dict = {}  # what a checkpoint says of them
        self.learned = 0  # training steps so far
        self.returns: list[float] = []  # of the episodes that ended before this training step

    def connect(self, data: DataModule) -> None:
        self.data = data  # type: ignore[assignment]  # `takes: environment` says so

    # Learning.

    def inputs(self, batch: Remembered) -> tuple[Tensor, ...]:
        return (batch.before,)

    def step(self, batch: Remembered) -> Scalars:
        value = self.net(batch.before).gather(1, batch.target.unsqueeze(1)).squeeze(1)  # (B,)
        with torch.no_grad():
            later = self.target_net(batch.after)  # (B, A)
            best = (self.net(batch.after) if self.picks_itself else later).argmax(dim=1, keepdim=True)  # (B, 1)
            wanted = batch.reward + self.discount * ~batch.ended * later.gather(1, best).squeeze(1)  # (B,)
        earned = Mean(torch.tensor(sum(self.returns) / max(len(self.returns), 1)), len(self.returns))
        return {"loss": self.loss(value, wanted), "q_value": value.mean(), "return_mean": earned}

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Remembered:
        before, after = torch.randn(2, rows, facts["in_features"], generator=draw)
        ended, reward = torch.arange(rows) % 2 == 1, torch.rand(rows, generator=draw)
        return Remembered(before, after, ended, reward, torch.arange(rows) % self.num_outputs)

    def update_target(self) -> None:
        """Move the target net to the net."""
        with torch.no_grad():
            for weight, newer in zip(self.target_net.parameters(), self.net.parameters(), strict=True):
                weight.lerp_(newer, self.tau)
            for statistic, newest in zip(self.target_net.buffers(), self.net.buffers(), strict=True):
                statistic.copy_(newest)

    # Acting.

    @property
    def epsilon(self) -> float:
        """Share of the steps that are random now."""
        assert self.memory is not None, "training has begun"
        passed = min(self.memory.taken / self.epsilon_steps, 1.0)
        return self.epsilon_start + passed * (self.epsilon_end - self.epsilon_start)

    def on_train_start(self) -> None:
        if self.data is None:  # remembered steps are given, as the contracts do
            return
        self.agent = Agent(self.data, self.global_rank, **self.resumed.get("agent", {}))
        self.memory = Replay(self.memory_size, len(self.agent.place))
        if self.resumed:
            self.memory.load_state(self.resumed["memory"])
        else:
            self.act([True] * self.warm_up, torch.randint(self.num_outputs, (self.warm_up,)).tolist())

    def on_after_batch_transfer(self, batch: Chances | Seeds | Remembered, dataloader_idx: int) -> Any:
        """Before a training step the agent acts; then it learns from what it remembers."""
        if self.memory is None or not isinstance(batch, Chances):
            return batch
        self.act((batch.curiosity < self.epsilon).tolist(), batch.target.tolist())
        if self.learned % self.refresh == 0:
            self.update_target()
        self.learned += 1
        return Remembered(*(part.to(self.device) for part in self.memory.sample(self.replay_rows)))

    @torch.inference_mode()
    def act(self, explore: list[bool], drawn: list[int]) -> None:
        """Take steps, and remember them.

        Args:
            explore: whether a step is random.
            drawn: the action, if it is.
        """
        assert self.agent is not None and self.memory is not None, "training has begun"
        agent, self.returns = self.agent, []
        for random, action in zip(explore, drawn, strict=True):
            before = agent.place
            action = action if random else self.best(before[None])[0]
            reward, ended, over = agent.step(action)
            self.memory.add(before, agent.place, ended, reward, action)
            if over:
                self.returns.append(agent.earned)
                agent.begin(agent.episode + 1)

    def best(self, places: np.ndarray) -> list[int]:
        """The actions of the highest value in some places (B, F)."""
        return self.net(torch.from_numpy(places).to(self.device)).argmax(dim=1).tolist()

    def training_state(self) -> dict:
        if self.agent is None or self.memory is None:
            return {}
        return {"agent": self.agent.state(), "memory": self.memory.state(), "learned": self.learned}

    def load_training_state(self, state: dict) -> None:
        self.resumed, self.learned = state, state.get("learned", 0)

    # How good it is.

    @torch.inference_mode()
    def play(self, data: CartPole, seeds: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Play whole episodes side by side, always with the best action; return what each earned, and its steps."""
        worlds = [data.world() for _ in seeds]
        places = np.stack([world.begin(seed) for world, seed in zip(worlds, seeds, strict=True)])  # (B, F)
        earned, lasted = np.zeros(len(seeds)), np.zeros(len(seeds))
        running = list(range(len(seeds)))
        while running:
            lasted[running] += 1
            for number, action in zip(running.copy(), self.best(places[running]), strict=True):
                places[number], reward, _, over = worlds[number].step(action)
                earned[number] += reward
                if over:
                    running.remove(number)
        return earned, lasted

    def evaluation_step(self, batch: Seeds) -> Scalars:
        assert self.data is not None, "connect() comes first"
        earned, lasted = self.play(self.data, batch.target.tolist())
        return {"return_mean": torch.tensor(earned.mean()), "episode_length": torch.tensor(lasted.mean())}

    def measures(self) -> dict[str, Measure]:
        return {"episodes": self.of_episodes}

    def of_episodes(self, text: str, data: DataModule) -> dict[str, float]:
        """What as many test episodes earn as `text` says."""
        if not text.isdecimal() or not int(text):
            raise UserError(f"episodes= is how many are played, at least 1: received {text!r}")
        assert isinstance(data, CartPole), "`takes: environment` says so"
        parts = data.seeds("test", int(text)).split(data.eval_rows)
        earned, lasted = map(np.concatenate, zip(*(self.play(data, part.tolist()) for part in parts), strict=True))
        return {
            "return_mean": earned.mean(), "return_std": earned.std(), "return_min": earned.min(),
            "return_max": earned.max(), "episode_length": lasted.mean(),
        }  # fmt: skip

    # Using it.

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        values = self.net(*self.encoded(rows, data))  # (B, A)
        names = data.action_names  # type: ignore[attr-defined]
        return [{"action": names[row.argmax()], "value": float(row.max())} for row in values]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"action": "string", "value": "double"}

    @torch.inference_mode()
    def write_files(self, folder: Path, data: DataModule) -> None:
        """Write the first test episode as episode.gif, as far as the environment can be drawn."""
        assert isinstance(data, CartPole), "`takes: environment` says so"
        try:
            world = data.world(drawn=True)
            place, over, frames = world.begin(int(data.seeds("test", 1))), False, [world.frame()]
        except Exception as error:  # whatever an environment raises that cannot be drawn here
            log.warning("files/episode.gif is left out: %s", error)
            return
        while not over:
            place, _, _, over = world.step(self.best(place[None])[0])
            frames.append(world.frame())
        write_atomically(folder / "episode.gif", animated(frames))
