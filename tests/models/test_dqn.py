"""Action values of a deep Q-network."""

import pytest
import torch

from runner.models.dqn import DQN


def test_dueling_heads_add_up_as_in_the_paper() -> None:
    """Equation 9 of Wang et al.: the mean of the action values is the value of the state."""
    net = DQN(in_features=4, num_actions=3, hidden_dims=[8, 5], dueling=True)
    seen = torch.randn(6, 4)
    hidden = net.trunk(seen)
    values, state, advantage = net(seen), net.state(hidden), net.advantage(hidden)
    torch.testing.assert_close(values.mean(dim=1, keepdim=True), state)
    torch.testing.assert_close(values - state, advantage - advantage.mean(dim=1, keepdim=True))
    assert (DQN(4, 3, [8, 5])(seen) != values).any()


def test_a_net_without_hidden_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one layer, received none"):
        DQN(4, 2, hidden_dims=[])
