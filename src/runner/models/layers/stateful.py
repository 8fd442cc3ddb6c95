"""torch's recurrent layers in one direction, with a state that can be handed on and picked by rows.

Shape letters: B batch, T time, I inputs, H hidden units, L layers.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from runner.models.ranges import check_choice, check_share, check_size

StatefulName = Literal["rnn", "gru", "lstm"]
KERNELS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
State = tuple[Tensor, ...]  # h, and for an lstm c: (B, L, H) each


class Stateful(nn.Module):
    """Layers of one cell, one above the other, that begin with a given state.

    Args:
        input_dim: numbers a step.
        hidden_dim: units H of a layer.
        cell: rnn (tanh), gru or lstm.
        num_layers: layers L.
        dropout: share of the outputs between the layers dropped in training, in [0, 1).

    Raises:
        ValueError: a size below 1, an unknown cell, or a dropout outside [0, 1).
    """

    def __init__(
        self, input_dim: int, hidden_dim: int, cell: StatefulName = "gru", num_layers: int = 1, dropout: float = 0.0
    ):
        super().__init__()
        check_size(input_dim=input_dim, hidden_dim=hidden_dim, num_layers=num_layers)
        check_choice(KERNELS, cell=cell)
        check_share(dropout=dropout)
        between = dropout if num_layers > 1 else 0.0  # torch warns about dropout between the layers of one layer
        self.kernel = KERNELS[cell](input_dim, hidden_dim, num_layers, batch_first=True, dropout=between)
        self.parts = 2 if cell == "lstm" else 1  # tensors of a state

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Inputs (B, T, I) and the state before them to the outputs of the last layer (B, T, H) and the state after."""
        parts = tuple(part.transpose(0, 1).contiguous() for part in state)  # (L, B, H), as torch expects them
        outputs, after = self.kernel(inputs, parts if self.parts == 2 else parts[0])
        after = after if isinstance(after, tuple) else (after,)
        return outputs, tuple(part.transpose(0, 1) for part in after)


class Bridge(nn.Module):
    """From what an encoder read last to the first state of a decoder: tanh(W x + b) for each layer.

    Args:
        input_dim: numbers of what was read.
        decoder: the layers that begin with it.
    """

    def __init__(self, input_dim: int, decoder: Stateful):
        super().__init__()
        self.layers, self.parts = decoder.kernel.num_layers, decoder.parts
        self.weight = nn.Linear(input_dim, self.parts * self.layers * decoder.kernel.hidden_size)

    def forward(self, read: Tensor) -> State:
        """What was read (B, D) to the state (B, L, H) each."""
        first = self.weight(read).tanh().unflatten(1, (self.parts, self.layers, -1))  # (B, parts, L, H)
        return first.unbind(1)
