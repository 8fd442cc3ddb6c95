"""Q-learning with replay memory and target network (Mnih et al. 2015, Nature 518).

Shape letters: B walkers or remembered steps, F observations, A actions.
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from corridor_data import Chances
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.tasks.base import Task
from runner.tasks.means import Scalars

NAMES = ("left", "right")


class Steps(NamedTuple):
    """Steps that were made: from where (B, F), to where (B, F), whether that was the end (B,), the reward (B,), and
    with which action (B,)."""

    before: Tensor
    after: Tensor
    over: Tensor
    reward: Tensor
    target: Tensor


class QLearning(Task):
    """Squared error between Q(state, action) and the reward plus the discounted best Q of what came next.

    Args:
        net: maps observations (B, F) to a value of each action (B, A).
        num_outputs: actions A.
        discount: of the next step's value, 0 .. 1.
        explore: share of the training steps that are drawn at random.
        memory_size: steps remembered.
        batch_size: remembered steps of a training step.
        refresh: training steps between two copies of the net to the target net.
        longest: steps of an episode in evaluation.
    """

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        discount: float = 0.95,
        explore: float = 0.3,
        memory_size: int = 500,
        batch_size: int = 32,
        refresh: int = 20,
        longest: int = 30,
    ):
        super().__init__(net)
        self.num_outputs, self.discount, self.explore = num_outputs, discount, explore
        self.memory_size, self.batch_size, self.refresh, self.longest = memory_size, batch_size, refresh, longest
        self.target_net = copy.deepcopy(net).requires_grad_(False)
        self.world: Any = None  # comes with the data
        self.place: Tensor | None = None  # where each walker is, (B, F)
        self.memory: list[Steps] = []  # the oldest first
        self.walked = 0  # training steps so far

    def connect(self, data: DataModule) -> None:
        self.world = data.world

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Steps:
        before, after = torch.randn(2, rows, facts["in_features"], generator=draw)
        over, reward = torch.arange(rows) % 2 == 1, torch.rand(rows, generator=draw)
        return Steps(before, after, over, reward, torch.arange(rows) % self.num_outputs)

    def inputs(self, batch: Steps) -> tuple[Tensor, ...]:
        return (batch.before,)

    def step(self, batch: Steps) -> Scalars:
        value = self.net(*self.inputs(batch)).gather(1, batch.target.unsqueeze(1)).squeeze(1)  # (B,)
        with torch.no_grad():
            best = self.target_net(batch.after).amax(dim=1)  # (B,)
        wanted = batch.reward + self.discount * torch.where(batch.over, 0.0, best)
        return {"loss": F.smooth_l1_loss(value, wanted), "value": value.mean()}

    # Walking.

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Before a training step: all walkers make a step, and some steps are remembered to learn from."""
        if not self.training or self.world is None:
            return batch
        self.walk(batch)
        self.walked += 1
        if self.walked % self.refresh == 0:
            self.target_net.load_state_dict(self.net.state_dict())
        steps = Steps(*map(torch.cat, zip(*self.memory, strict=True)))
        picked = torch.randint(len(steps.target), (self.batch_size,), device=self.device)
        return Steps(*(part[picked] for part in steps))

    @torch.no_grad()
    def walk(self, chances: Chances) -> None:
        """Let each walker make a step, and remember it."""
        place = chances.start if self.place is None else self.place[: len(chances.start)]
        action = torch.where(chances.curiosity < self.explore, chances.target, self.net(place).argmax(dim=1))
        after, reward, over = self.world.step(place, action)
        self.memory.append(Steps(place, after, over, reward, action))
        del self.memory[: -(self.memory_size // len(action))]
        self.place = torch.where(over.unsqueeze(1), chances.start, after)

    def evaluation_step(self, batch: Chances) -> Scalars:
        """Walk whole episodes as well as can be; what each earns, and how long it is."""
        place, running = batch.start, torch.ones(len(batch.start), device=self.device)
        earned, lasted = torch.zeros_like(running), torch.zeros_like(running)
        for _ in range(self.longest):
            place, reward, over = self.world.step(place, self.net(place).argmax(dim=1))
            earned, lasted = earned + running * reward, lasted + running
            running = running * ~over
        return {"return_mean": earned.mean(), "steps": lasted.mean()}

    def training_state(self) -> dict:
        return {"place": self.place, "memory": [tuple(steps) for steps in self.memory], "walked": self.walked}

    def load_training_state(self, state: dict) -> None:
        self.place, self.walked = state["place"], state["walked"]
        self.memory = [Steps(*steps) for steps in state["memory"]]

    # Using it.

    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        values = self.net(*self.encoded(rows, data))  # (B, A)
        return [{"action": NAMES[row.argmax()], "value": float(row.max())} for row in values]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"action": "string", "value": "double"}
