"""torch's recurrent layers in one direction, with a state that can be handed on and picked by rows.

Shape letters: B batch, T time, I inputs, D numbers of a state to begin with, H hidden units, L layers.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from runner.models.ranges import check_choice, check_share, check_size

StatefulName = Literal["rnn", "gru", "lstm"]
KERNELS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
State = tuple[Tensor, ...]  # h, and for an lstm c: (B, L, H) each


def stateful(
    input_dim: int, hidden_dim: int, cell: StatefulName = "gru", num_layers: int = 1, dropout: float = 0.0
) -> nn.RNNBase:
    """Return layers of one cell, one above the other.

    Args:
        input_dim: numbers a step.
        hidden_dim: units H of a layer.
        cell: rnn (tanh), gru or lstm.
        num_layers: layers L.
        dropout: share of the outputs between the layers dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, an unknown cell, or a dropout outside [0, 1).
    """
    check_size(input_dim=input_dim, hidden_dim=hidden_dim, num_layers=num_layers)
    check_choice(KERNELS, cell=cell)
    check_share(dropout=dropout)
    between = dropout if num_layers > 1 else 0.0  # torch warns about dropout between the layers of one layer
    return KERNELS[cell](input_dim, hidden_dim, num_layers, batch_first=True, dropout=between)


def zeros(layers: nn.RNNBase, like: Tensor) -> State:
    """The state before the first step for each of the rows (B, any): zeros of their dtype, on their device."""
    part = like.new_zeros(like.size(0), layers.num_layers, layers.hidden_size)
    return (part,) * parts_of(layers)


def read(layers: nn.RNNBase, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    """Inputs (B, T, I) and the state before them to the outputs of the last layer (B, T, H) and the state after."""
    parts = tuple(part.transpose(0, 1).contiguous() for part in state)  # (L, B, H), as torch expects them
    outputs, after = layers(inputs, parts if len(parts) > 1 else parts[0])
    after = after if isinstance(after, tuple) else (after,)
    return outputs, tuple(part.transpose(0, 1) for part in after)


def parts_of(layers: nn.RNNBase) -> int:
    """How many tensors a state has."""
    return 2 if isinstance(layers, nn.LSTM) else 1


class Bridge(nn.Module):
    """From what an encoder read last to the first state of a decoder: tanh(W x + b) for each layer.

    Args:
        input_dim: numbers D of what was read.
        decoder: the layers that begin with it.
    """

    def __init__(self, input_dim: int, decoder: nn.RNNBase):
        super().__init__()
        self.shape = (parts_of(decoder), decoder.num_layers, decoder.hidden_size)
        self.weight = nn.Linear(input_dim, self.shape[0] * self.shape[1] * self.shape[2])

    def forward(self, last: Tensor) -> State:
        """What was read last (B, D) to the state (B, L, H) each."""
        return self.weight(last).tanh().unflatten(1, self.shape).unbind(1)
