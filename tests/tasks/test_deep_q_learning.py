"""Targets, the ring of remembered steps, the target net, exploration, and what a trained agent is asked."""

import copy
import io

import pytest
import torch
from PIL import Image
from small_runs import resumed, settings
from torch import nn

from runner.datamodules.cartpole import CartPole
from runner.errors import UserError
from runner.inference.predictor import Predictor
from runner.tasks.deep_q_learning import Agent, DeepQLearning, Remembered, Replay
from runner.training.checkpoint import load_checkpoint
from runner.training.train import train


class Table(nn.Module):
    """Values of two actions in two states, seen as 0 and 1."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, seen):
        return self.values[seen.long().squeeze(1)]


def task(**settings) -> DeepQLearning:
    made = DeepQLearning(Table([[1.0, 2.0], [5.0, 3.0]]), num_outputs=2, discount=0.5, clip_errors=False, **settings)
    made.target_net.values.copy_(torch.tensor([[10.0, 20.0], [30.0, 40.0]]))
    return made


@pytest.mark.parametrize(("double", "later"), [(True, 30.0), (False, 40.0)])
def test_what_is_wanted_is_the_reward_and_the_discounted_rest(double, later) -> None:
    steps = Remembered(
        before=torch.tensor([[0.0], [0.0]]),
        after=torch.tensor([[1.0], [1.0]]),
        ended=torch.tensor([False, True]),
        reward=torch.tensor([7.0, 8.0]),
        target=torch.tensor([1, 0]),
    )
    found = task(double=double).step(steps)
    assert found["loss"].item() == pytest.approx(((2 - (7 + 0.5 * later)) ** 2 + (1 - 8) ** 2) / 2)
    assert found["q_value"].item() == 1.5


def test_the_target_net_follows() -> None:
    soft, hard = task(tau=0.25), task(tau=1.0)
    for each in (soft, hard):
        each.update_target()
    assert soft.target_net.values[0].tolist() == pytest.approx([10 - 0.25 * 9, 20 - 0.25 * 18])
    assert torch.equal(hard.target_net.values, hard.net.values)
    assert not soft.target_net.values.requires_grad


def test_the_oldest_steps_are_forgotten() -> None:
    memory = Replay(size=3, width=1)
    for number in range(5):
        memory.add([number], [number + 1], number == 4, number, number % 2)
    assert sorted(memory.tensors.reward.tolist()) == [2.0, 3.0, 4.0]
    drawn = memory.sample(64)
    assert set(drawn.reward.tolist()) == {2.0, 3.0, 4.0}
    assert torch.equal(drawn.after, drawn.before + 1)
    assert torch.equal(drawn.ended, drawn.reward == 4)
    other = Replay(size=3, width=1)
    other.load_state(copy.deepcopy(memory.state()))
    for each in (memory, other):
        each.add([9], [9], False, 9, 1)
    assert all(torch.equal(one, two) for one, two in zip(memory.tensors, other.tensors, strict=True))


def test_an_agent_is_told_by_its_episode_and_its_actions() -> None:
    data = CartPole()
    agent = Agent(data, rank=0)
    agent.begin(3)
    for action in (0, 1, 0, 0):
        agent.step(action)
    other = Agent(data, 0, **agent.state())
    assert (other.place == agent.place).all()
    assert (other.episode, other.earned, other.actions) == (3, 4.0, [0, 1, 0, 0])


def test_less_and_less_is_drawn_at_random() -> None:
    made = task(epsilon_start=1.0, epsilon_end=0.2, epsilon_steps=100)
    made.memory = Replay(10, 1)
    for taken, share in ((0, 1.0), (50, 0.6), (100, 0.2), (1000, 0.2)):
        made.memory.taken = taken
        assert made.epsilon == pytest.approx(share)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short training."""
    folder = tmp_path_factory.mktemp("dqn")
    train(settings("dqn"), folder)
    return folder


def test_a_checkpoint_holds_what_is_remembered_and_where_the_agent_is(run) -> None:
    (state,) = load_checkpoint(run / "checkpoints" / "last.ckpt")["training_state"]
    assert state["memory"]["taken"] == 60 + 3 * 5 * 4, "random steps, then four before each training step"
    assert len(state["memory"]["steps"][0]) == 100, "of memory_size steps"
    assert state["learned"] == 15


def test_a_finished_run_is_trained_longer(run, tmp_path, no_figures) -> None:
    longer = settings("dqn", "trainer.max_epochs=4")
    train(longer, tmp_path / "whole")
    train(settings("dqn"), tmp_path / "cut")
    resumed(longer, tmp_path / "cut")
    weights = [(tmp_path / name / "model" / "weights.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_it_says_what_to_do(run) -> None:
    predictor = Predictor(run / "model")
    row = {"cart_position": 0.0, "cart_velocity": 0.0, "pole_angle": 0.1, "pole_velocity": 0.5}
    (answer,) = predictor([row])
    assert answer["action"] in ("left", "right")
    measured = predictor.task.measures()["episodes"]("3", predictor.data)
    assert measured["return_min"] <= measured["return_mean"] <= measured["return_max"]
    assert measured["return_mean"] == measured["episode_length"], "1 a step"
    with pytest.raises(UserError, match=r"episodes= is how many are played, at least 1: received '0'"):
        predictor.task.measures()["episodes"]("0", predictor.data)


def test_an_episode_is_drawn(run) -> None:
    pytest.importorskip("pygame", reason="CartPole is drawn by pygame")
    with Image.open(io.BytesIO((run / "files" / "episode.gif").read_bytes())) as film:
        assert film.n_frames > 5
        assert film.size == (300, 200)
