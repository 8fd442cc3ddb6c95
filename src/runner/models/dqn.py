"""Deep Q-network: a perceptron from what an agent observes to the value of each action it could take.

Source: Mnih et al., Human-level control through deep reinforcement learning, Nature 518, 2015, doi:10.1038/nature14236;
dueling heads: Wang et al., 2016, arXiv:1511.06581, equation 9. Departure: dense layers instead of convolutions over
the screen, since observations are a few numbers. How it learns is in `runner.tasks.deep_q_learning`.

Shape letters: B batch, F features of an observation, H units of the last hidden layer, A actions.
"""

from torch import Tensor, nn

from runner.models.mlp import MLP
from runner.models.ranges import check_size


class DQN(nn.Module):
    """Values of all actions from an observation.

    Args:
        in_features: numbers F of an observation.
        num_actions: actions A.
        hidden_dims: units of each hidden layer, first to last; at least one layer.
        dueling: whether one layer says how good the state is and another how much better each action is than the
            mean of all.

    Raises:
        ValueError: a size below 1, or no hidden layer.
    """

    def __init__(
        self,
        in_features: int,
        num_actions: int,
        hidden_dims: list[int] | tuple[int, ...] = (256, 256),
        dueling: bool = False,
    ):
        super().__init__()
        if not hidden_dims:
            raise ValueError("hidden_dims must name at least one layer, received none")
        check_size(num_actions=num_actions)
        *before, width = hidden_dims
        self.trunk = nn.Sequential(MLP(in_features, width, before), nn.ReLU())
        self.advantage = nn.Linear(width, num_actions)
        self.state = nn.Linear(width, 1) if dueling else None

    def forward(self, observation: Tensor) -> Tensor:
        """Observations (B, F), float32, to action values (B, A)."""
        hidden = self.trunk(observation)  # (B, H)
        advantage = self.advantage(hidden)  # (B, A)
        if self.state is None:
            return advantage
        return self.state(hidden) + advantage - advantage.mean(dim=1, keepdim=True)
