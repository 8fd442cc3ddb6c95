"""Environments in place of datasets: what is seen of them, their seeds, and what is refused."""

import numpy as np
import pytest
import torch

from runner.datamodules.cartpole import CartPole
from runner.errors import UserError

DRAW = torch.Generator().manual_seed(0)


def prepared(**settings) -> CartPole:
    data = CartPole(**settings)
    data.setup()
    return data


def test_an_episode_with_the_same_seed_goes_the_same_way() -> None:
    data = prepared()
    one, other = data.world(), data.world()
    other.begin(7)
    other.step(0)  # what has been before does not matter
    for world in (one, other):
        world.first_seen = world.begin(5)
    assert np.array_equal(one.first_seen, other.first_seen)
    for action in (0, 1, 1, 0, 1):
        ours, theirs = one.step(action), other.step(action)
        assert np.array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:] == (1.0, False, False)
    assert ours[0].dtype == np.float32


def test_a_cut_off_is_not_an_end() -> None:
    world = prepared(longest=3).world()
    world.begin(0)
    assert [world.step(action)[2:] for action in (0, 1, 0)] == [(False, False), (False, False), (False, True)]


def test_no_two_splits_share_an_episode() -> None:
    data = prepared()
    train = {data.training_seed(rank, episode) for rank in (0, 1) for episode in range(300)}
    val, test = (set(split.gather(torch.arange(len(split)), DRAW).target.tolist()) for split in (data.val, data.test))
    assert (len(train), len(val), len(test)) == (600, 20, 100)
    assert not train & val | train & test | val & test


def test_positions_of_a_grid_become_numbers() -> None:
    data = prepared(environment="FrozenLake-v1", in_features=16, num_actions=4)
    seen = data.world().begin(0)
    assert seen.tolist() == [1.0] + 15 * [0.0]
    assert data.action_names == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"environment": "Acrobot-v1"}, r"data.in_features=4 is declared, but .* has 6\. Set data.in_features=6"),
        ({"environment": "CartPool-v1"}, "data.environment=CartPool-v1 cannot be made: .*CartPole"),
        ({"environment": "Pendulum-v1"}, "Pendulum-v1 has the actions Box.*only of actions that are numbered"),
        ({"environment": "Blackjack-v1"}, r"Blackjack-v1 may last forever: cut them off with data.longest=500"),
    ],
)
def test_what_cannot_be_used_is_named(settings, message) -> None:
    with pytest.raises(UserError, match=message):
        prepared(**settings)
