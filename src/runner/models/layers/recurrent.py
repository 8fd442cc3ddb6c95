"""Recurrent layers: cells of `cells.py` stacked, in one or both directions, for rows of unequal length.

Padding is never part of a row: the backward direction begins at each row's last real step.

Shape letters: T time, B batch, I inputs of a layer, H hidden units of a direction, D outputs of a layer.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.layers.cells import CELLS, Cell, CellName, State
from runner.models.ranges import check_choice, check_share, check_size

MergeName = Literal["concat", "sum", "mul", "mean"]


def join(merge: str, forward: Tensor, backward: Tensor) -> Tensor:
    """Merge the outputs of the two directions, (..., H) each, to (..., D)."""
    if merge == "concat":
        return torch.cat([forward, backward], dim=-1)
    if merge == "mul":
        return forward * backward
    return (forward + backward) / (2 if merge == "mean" else 1)


class Recurrent(nn.Module):
    """Layers of one cell, one above the other, in one or both directions.

    Args:
        input_dim: numbers a step.
        hidden_dim: units of a layer in each direction.
        cell: rnn, lstm, gru, peephole, coupled or minimal.
        num_layers: layers.
        bidirectional: whether each layer also reads from the last step to the first.
        merge: how the two directions become one output: concat, sum, mul (product) or mean.
        dropout: share of the outputs between the layers dropped in training, in [0, 1).
        variational: whether the same units are dropped at every step, those of the inputs of each layer and of its
            recurrent state too (Gal and Ghahramani 2016, arXiv:1512.05287); the steps are then slow.

    Raises:
        ValueError: a size below 1, an unknown cell or merge, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        cell: CellName = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        merge: MergeName = "concat",
        dropout: float = 0.0,
        variational: bool = False,
    ):
        super().__init__()
        check_size(input_dim=input_dim, hidden_dim=hidden_dim, num_layers=num_layers)
        check_choice(CELLS, cell=cell)
        check_choice(("concat", "sum", "mul", "mean"), merge=merge)
        check_share(dropout=dropout)
        self.hidden_dim, self.bidirectional, self.merge = hidden_dim, bidirectional, merge
        self.dropout, self.variational = dropout, variational
        self.output_dim = 2 * hidden_dim if bidirectional and merge == "concat" else hidden_dim
        widths = [input_dim] + [self.output_dim] * (num_layers - 1)
        self.forwards = nn.ModuleList(CELLS[cell](width, hidden_dim) for width in widths)
        self.backwards = nn.ModuleList(CELLS[cell](width, hidden_dim) for width in widths if bidirectional)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Inputs (B, T, I) and lengths, int64 (B,), to outputs (B, T, D) and the last output of each row (B, D).

        The last output of the backward direction is the one at the first step. Outputs after the end of a row are
        meaningless. No lengths = all rows are full.
        """
        steps = inputs.transpose(0, 1)  # (T, B, I)
        order = mirrored(steps, lengths) if self.bidirectional else None
        for layer, ahead in enumerate(self.forwards):
            steps = self.dropped(steps, first=layer == 0)
            read = ahead(steps, self.kept(steps))  # (T, B, H)
            last = final(read, lengths)
            if order is not None:
                back = self.backwards[layer](reorder(steps, order), self.kept(steps))  # (T, B, H), last step first
                last = join(self.merge, last, final(back, lengths))
                read = join(self.merge, read, reorder(back, order))
            steps = read
        return steps.transpose(0, 1), last

    def start(self, rows: Tensor) -> tuple[State, ...]:
        """The state of each layer before the first step, zeros (B, H), for rows (B, any)."""
        return tuple(cell.start(rows) for cell in self.forwards if isinstance(cell, Cell))

    def step(self, inputs: Tensor, state: tuple[State, ...]) -> tuple[Tensor, tuple[State, ...]]:
        """One step: inputs (B, I) and the states of the layers to the output (B, H) and the next states.

        The steps of a row give what `forward` gives for the whole row in evaluation mode; no step drops anything. Only
        layers that read in one direction can take steps.
        """
        assert not self.bidirectional, "a layer that also reads from the end cannot go step by step"
        after = []
        for cell, before in zip(self.forwards, state, strict=True):
            assert isinstance(cell, Cell)
            after.append(cell.step(cell.project(inputs), before, seen=before[0]))
            inputs = after[-1][0]
        return inputs, tuple(after)

    def dropped(self, steps: Tensor, first: bool) -> Tensor:
        """Drop some of the inputs (T, B, I) of a layer; those of the first layer only with variational dropout."""
        if not self.variational:
            return steps if first else F.dropout(steps, self.dropout, self.training)
        return steps * F.dropout(torch.ones_like(steps[0]), self.dropout, self.training) if self.training else steps

    def kept(self, steps: Tensor) -> Tensor | None:
        """What the recurrent state of a layer is multiplied with at every step (B, H); None = nothing is dropped."""
        if not (self.variational and self.training and self.dropout):
            return None
        return F.dropout(steps.new_ones(steps.size(1), self.hidden_dim), self.dropout)


def mirrored(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """Numbers of the rows of (T * B, I) that turn each row's real steps around and leave its padding, (T * B,)."""
    place = torch.arange(steps.size(0), device=steps.device).unsqueeze(1)  # (T, 1)
    row = torch.arange(steps.size(1), device=steps.device)  # (B,)
    ends = torch.full_like(row, steps.size(0)) if lengths is None else lengths  # (B,)
    return (torch.where(place < ends, ends - 1 - place, place) * steps.size(1) + row).flatten()


def reorder(steps: Tensor, order: Tensor) -> Tensor:
    """Steps (T, B, I) in the order of `mirrored`, which is its own inverse."""
    return steps.flatten(0, 1).index_select(0, order).view(steps.shape)


def final(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """The last real step of each row: (T, B, H) and lengths (B,) to (B, H)."""
    if lengths is None:
        return steps[-1]
    return steps.gather(0, (lengths - 1).view(1, -1, 1).expand(1, -1, steps.size(2))).squeeze(0)
