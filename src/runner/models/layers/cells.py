"""Six recurrent cells, each reading whole sequences in one direction; `recurrent.py` builds layers from them.

Sources: rnn: Elman, Finding Structure in Time, Cognitive Science 14, 1990, doi:10.1207/s15516709cog1402_1. lstm:
Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, with the forget gate of Gers et al. 2000. gru: Cho et
al. 2014, arXiv:1406.1078 (the reset gate after the product, as in cuDNN and Keras). peephole: Gers and Schmidhuber
2000, doi:10.1109/IJCNN.2000.861302, with full matrices in place of one weight a unit, as in the course book, chapter 9,
section 5. coupled: the input gate is 1 - forget gate (Greff et al. 2015, arXiv:1503.04069, "CIFG"). minimal: h' = xK +
hR, the course book, chapter 9, section 1. Weights are drawn as Keras draws them, which the book uses.

rnn, lstm and gru run in torch's own kernels. The other cells project all steps at once, and their backward pass is
written out below, because autograd would take most of the time with such small steps.

Shape letters: T time, B batch, I inputs of a layer, H hidden units, G gates.
"""

import itertools
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CellName = Literal["rnn", "lstm", "gru", "peephole", "coupled", "minimal"]
State = tuple[Tensor, ...]  # h, and for some cells c: (B, H) each


# The cells. `forward` runs over a whole sequence; `project` and `step` are the same in plain equations, for what the
# fast way cannot do: a mask on the recurrent state, torch.export, and one step after another where a text is written.


class Cell(nn.Module):
    """Base class of all cells.

    Args:
        hidden_dim: units.
        states: tensors that go from step to step: 1 (h) or 2 (h and c).
    """

    def __init__(self, hidden_dim: int, states: int):
        super().__init__()
        self.hidden_dim, self.states = hidden_dim, states

    def start(self, rows: Tensor) -> State:
        """The state before the first step for each of the rows (B, any): zeros of their dtype, on their device."""
        return (rows.new_zeros(rows.size(0), self.hidden_dim),) * self.states

    def project(self, inputs: Tensor) -> Tensor:
        """Inputs (..., I) times the input weights, biases added, (..., GH): what does not depend on the state."""
        raise NotImplementedError

    def recall(self, seen: Tensor) -> Tensor:
        """The part of the last hidden state that a step sees, (B, H), times the recurrent weights, (B, GH)."""
        raise NotImplementedError

    def step(self, now: Tensor, state: State, seen: Tensor) -> State:
        """The next state from the projected inputs of one step (B, GH), the state and what is seen of h, (B, H)."""
        raise NotImplementedError


class Kernel(Cell):
    """A layer that torch has a fast kernel for, in one direction.

    Args:
        kernel: torch's layer.
        states: tensors that go from step to step: 1 (h) or 2 (h and c).
    """

    def __init__(self, kernel: nn.RNNBase, states: int = 1):
        super().__init__(kernel.hidden_size, states)
        self.kernel = kernel
        weight_ih, weight_hh, bias_ih, bias_hh = kernel.all_weights[0]
        draw_weights(weight_ih, weight_hh, len(weight_hh) // kernel.hidden_size)
        nn.init.zeros_(bias_ih)
        nn.init.zeros_(bias_hh)

    def forward(self, inputs: Tensor, keep: Tensor | None = None) -> Tensor:
        """Inputs (T, B, I) to hidden states (T, B, H); `keep` (B, H) is multiplied to what a step sees of the last."""
        return self.kernel(inputs)[0] if keep is None else step_by_step(self, inputs, keep)

    def project(self, inputs: Tensor) -> Tensor:
        weight_ih, _, bias_ih, _ = self.kernel.all_weights[0]
        return F.linear(inputs, weight_ih, bias_ih)

    def recall(self, seen: Tensor) -> Tensor:
        _, weight_hh, _, bias_hh = self.kernel.all_weights[0]
        return F.linear(seen, weight_hh, bias_hh)


class Elman(Kernel):
    """h' = tanh(W x + U h + b).

    Args:
        input_dim: numbers a step.
        hidden_dim: units.
    """

    def __init__(self, input_dim: int, hidden_dim: int):
        super().__init__(nn.RNN(input_dim, hidden_dim))

    def step(self, now: Tensor, state: State, seen: Tensor) -> State:
        return (torch.tanh(now + self.recall(seen)),)


class LSTM(Kernel):
    """Gates i, f, o and candidate g; c' = f c + i g, h' = o tanh(c').

    Args:
        input_dim: numbers a step.
        hidden_dim: units.
    """

    def __init__(self, input_dim: int, hidden_dim: int):
        super().__init__(nn.LSTM(input_dim, hidden_dim), states=2)
        _, _, bias_ih, _ = self.kernel.all_weights[0]
        nn.init.ones_(bias_ih.data[hidden_dim : 2 * hidden_dim])  # remember, at first

    def step(self, now: Tensor, state: State, seen: Tensor) -> State:
        i, f, g, o = (now + self.recall(seen)).chunk(4, dim=1)  # (B, H) each
        cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell


class GRU(Kernel):
    """Gates r, z and candidate n; h' = (1 - z) n + z h.

    Args:
        input_dim: numbers a step.
        hidden_dim: units.
    """

    def __init__(self, input_dim: int, hidden_dim: int):
        super().__init__(nn.GRU(input_dim, hidden_dim))

    def step(self, now: Tensor, state: State, seen: Tensor) -> State:
        (r, z, n), (recalled_r, recalled_z, recalled_n) = now.chunk(3, dim=1), self.recall(seen).chunk(3, dim=1)
        reset, update = torch.sigmoid(r + recalled_r), torch.sigmoid(z + recalled_z)  # (B, H) each
        return (torch.lerp(torch.tanh(n + reset * recalled_n), state[0], update),)


class Own(Cell):
    """A cell whose backward pass is written in this file, in one direction.

    Args:
        input_dim: numbers a step.
        hidden_dim: units.
        gates: G, blocks of H numbers that are computed from the inputs of a step.
        states: tensors that go from step to step: 1 (h) or 2 (h and c).
        bias: whether the cell has a bias.
    """

    fast: type[torch.autograd.Function]

    def __init__(self, input_dim: int, hidden_dim: int, gates: int, states: int, bias: bool = True):
        super().__init__(hidden_dim, states)
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden_dim, input_dim))
        self.weight_hh = nn.Parameter(torch.empty(gates * hidden_dim, hidden_dim))
        self.bias = nn.Parameter(torch.zeros(gates * hidden_dim)) if bias else None
        draw_weights(self.weight_ih, self.weight_hh, gates)

    def forward(self, inputs: Tensor, keep: Tensor | None = None) -> Tensor:
        """Inputs (T, B, I) to hidden states (T, B, H); `keep` (B, H) is multiplied to what a step sees of the last."""
        if keep is not None or torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return step_by_step(self, inputs, keep)
        kind = self.weight_hh.dtype
        with torch.autocast(inputs.device.type, enabled=False):  # many small sums in sequence: in full precision
            return self.fast.apply(inputs.to(kind).contiguous(), *self.weights())

    def weights(self) -> tuple[Tensor | None, ...]:
        """What `fast` is called with after the inputs."""
        return self.weight_ih, self.weight_hh, self.bias

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight_ih, self.bias)

    def recall(self, seen: Tensor) -> Tensor:
        return F.linear(seen, self.weight_hh)


class PeepholeLSTM(Own):
    """An LSTM whose gates see c as well: i and f the last one, o the new one, each through a full matrix.

    Args:
        input_dim: numbers a step.
        hidden_dim: units.
    """

    def __init__(self, input_dim: int, hidden_dim: int):
        super().__init__(input_dim, hidden_dim, gates=4, states=2)  # i, f, g, o
        self.weight_ch = nn.Parameter(torch.empty(3 * hidden_dim, hidden_dim))  # i, f, o
        self.fast = _PeepholeFunction
        for block in self.weight_ch.data.chunk(3):
            nn.init.orthogonal_(block)
        nn.init.ones_(self.get_parameter("bias").data[hidden_dim : 2 * hidden_dim])  # remember, at first

    def weights(self) -> tuple[Tensor | None, ...]:
        return self.weight_ih, self.weight_hh, self.weight_ch, self.bias

    def step(self, now: Tensor, state: State, seen: Tensor) -> State:
        i, f, g, o = (now + self.recall(seen)).chunk(4, dim=1)  # (B, H) each
        to_i, to_f, to_o = self.weight_ch.chunk(3)  # (H, H) each
        last = state[1]
        cell = torch.sigmoid(f + F.linear(last, to_f)) * last + torch.sigmoid(i + F.linear(last, to_i)) * torch.tanh(g)
        return torch.sigmoid(o + F.linear(cell, to_o)) * torch.tanh(cell), cell


class CoupledLSTM(Own):
    """An LSTM that adds exactly as much as it forgets: c' = f c + (1 - f) g.

    Args:
        input_dim: numbers a step.
        hidden_dim: units.
    """

    def __init__(self, input_dim: int, hidden_dim: int):
        super().__init__(input_dim, hidden_dim, gates=3, states=2)  # f, g, o
        self.fast = _CoupledFunction
        nn.init.ones_(self.get_parameter("bias").data[:hidden_dim])  # remember, at first

    def step(self, now: Tensor, state: State, seen: Tensor) -> State:
        f, g, o = (now + self.recall(seen)).chunk(3, dim=1)  # (B, H) each
        cell = torch.lerp(torch.tanh(g), state[1], torch.sigmoid(f))
        return torch.sigmoid(o) * torch.tanh(cell), cell


class MinimalRNN(Own):
    """h' = xK + hR, without an activation and without a bias.

    Args:
        input_dim: numbers a step.
        hidden_dim: units.
    """

    def __init__(self, input_dim: int, hidden_dim: int):
        super().__init__(input_dim, hidden_dim, gates=1, states=1, bias=False)
        self.fast = _MinimalFunction
        # The book's range. R then shrinks what it is applied to (its largest eigenvalue is near 0.03 sqrt(H)), and
        # nothing grows over a hundred steps.
        nn.init.uniform_(self.weight_ih, -0.05, 0.05)
        nn.init.uniform_(self.weight_hh, -0.05, 0.05)

    def weights(self) -> tuple[Tensor, ...]:
        return self.weight_ih, self.weight_hh

    def step(self, now: Tensor, state: State, seen: Tensor) -> State:
        return (now + self.recall(seen),)


CELLS: dict[str, Callable[[int, int], Kernel | Own]] = {
    "rnn": Elman,
    "lstm": LSTM,
    "gru": GRU,
    "peephole": PeepholeLSTM,
    "coupled": CoupledLSTM,
    "minimal": MinimalRNN,
}


def draw_weights(weight_ih: Tensor, weight_hh: Tensor, gates: int) -> None:
    """Draw input weights (GH, I) by Glorot and recurrent weights (GH, H) as orthogonal matrices, gate by gate."""
    for to_gate, back in zip(weight_ih.data.chunk(gates), weight_hh.data.chunk(gates), strict=True):
        nn.init.xavier_uniform_(to_gate)
        nn.init.orthogonal_(back)


def step_by_step(cell: Cell, inputs: Tensor, keep: Tensor | None) -> Tensor:
    """Run a cell by its equations: inputs (T, B, I), keep (B, H) or None, to hidden states (T, B, H)."""
    projected = cell.project(inputs)  # (T, B, GH)
    state = cell.start(projected[0])
    hidden = []
    for now in projected.unbind(0):
        state = cell.step(now, state, state[0] if keep is None else state[0] * keep)
        hidden.append(state[0])
    return torch.stack(hidden)


# The fast way. The gates of all steps are in one array (T, B, GH); the backward pass has another, which first holds the
# derivative of each gate's activation times what the gate is multiplied with, then the gradient of each gate. All that
# depends on no other step (projections, derivatives, gradients of the weights) is done for all steps at once; with s =
# sigmoid(x), ds/dx = s - s^2, with h = o tanh(c), dh/dc = o - h tanh(c).


class _PeepholeFunction(torch.autograd.Function):
    """`PeepholeLSTM` with its gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight_ih: Tensor, weight_hh: Tensor, weight_ch: Tensor, bias: Tensor):
        steps, rows, units = inputs.size(0), inputs.size(1), weight_hh.size(1)
        gates = F.linear(inputs, weight_ih, bias)  # (T, B, 4H): i, f, g, o
        hidden, cells = inputs.new_zeros(2, steps + 1, rows, units)  # step t reads place t, writes place t + 1
        squashed = inputs.new_empty(steps, rows, units)  # tanh(c)
        recall, to_if, to_o = weight_hh.t(), weight_ch[: 2 * units].t(), weight_ch[2 * units :].t()
        i, f, g, o = gates.chunk(4, dim=2)  # (T, B, H) each, as views
        states = hidden[:-1], hidden[1:], cells[:-1], cells[1:], squashed
        views = zip(gates, gates[..., : 2 * units], i, f, g, o, *states, strict=True)
        for z, z_if, z_i, z_f, z_g, z_o, h, h_new, c, c_new, tanh in views:
            z.addmm_(h, recall)
            z_if.addmm_(c, to_if).sigmoid_()
            torch.mul(z_f, c, out=c_new).addcmul_(z_i, z_g.tanh_())
            z_o.addmm_(c_new, to_o).sigmoid_()
            torch.mul(z_o, torch.tanh(c_new, out=tanh), out=h_new)
        ctx.save_for_backward(inputs, weight_ih, weight_hh, weight_ch, gates, hidden, cells, squashed)
        return hidden[1:].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor):
        inputs, weight_ih, weight_hh, weight_ch, gates, hidden, cells, squashed = ctx.saved_tensors
        units = weight_hh.size(1)
        to_if, to_o = weight_ch[: 2 * units], weight_ch[2 * units :]
        i, f, g, o = gates.chunk(4, dim=2)  # (T, B, H) each
        slope = torch.empty_like(gates)
        d_i, d_f, d_g, d_o = slope.chunk(4, dim=2)
        torch.addcmul(i, i, i, value=-1, out=d_i).mul_(g)
        torch.addcmul(f, f, f, value=-1, out=d_f).mul_(cells[:-1])
        torch.addcmul(i, torch.mul(i, g, out=d_g), g, value=-1, out=d_g)
        torch.addcmul(hidden[1:], hidden[1:], o, value=-1, out=d_o)
        through = torch.addcmul(o, hidden[1:], squashed, value=-1)  # dh/dc
        ifg = slope[..., : 3 * units].unflatten(2, (3, units))  # (T, B, 3, H)
        views = [part.unbind(0) for part in (slope, ifg, slope[..., : 2 * units], d_o, through, f)]
        dh, dc = grad[-1], torch.zeros_like(hidden[0])
        for t in range(len(gates) - 1, -1, -1):
            z, z_ifg, z_if, z_o, dh_dc, forget = (part[t] for part in views)
            dc.addcmul_(dh, dh_dc).addmm_(z_o.mul_(dh), to_o)
            z_ifg.mul_(dc.unsqueeze(1))
            dc.mul_(forget).addmm_(z_if, to_if)
            if t:
                dh = torch.addmm(grad[t - 1], z, weight_hh)
        flat = slope.flatten(0, 1)  # (TB, 4H)
        d_ch = torch.cat(
            [flat[:, : 2 * units].t() @ cells[:-1].flatten(0, 1), flat[:, 3 * units :].t() @ cells[1:].flatten(0, 1)]
        )
        d_inputs, d_ih, d_hh, d_bias = outer_gradients(slope, inputs, weight_ih, hidden)
        return d_inputs, d_ih, d_hh, d_ch, d_bias


class _CoupledFunction(torch.autograd.Function):
    """`CoupledLSTM` with its gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor):
        steps, rows, units = inputs.size(0), inputs.size(1), weight_hh.size(1)
        gates = F.linear(inputs, weight_ih, bias)  # (T, B, 3H): f, g, o
        hidden, cells = inputs.new_zeros(2, steps + 1, rows, units)  # step t reads place t, writes place t + 1
        squashed = inputs.new_empty(steps, rows, units)  # tanh(c)
        recall = weight_hh.t()
        states = hidden[:-1], hidden[1:], cells[:-1], cells[1:], squashed
        views = zip(gates, *gates.chunk(3, dim=2), *states, strict=True)
        for z, f, g, o, h, h_new, c, c_new, tanh in views:
            z.addmm_(h, recall)
            torch.lerp(g.tanh_(), c, f.sigmoid_(), out=c_new)
            torch.mul(o.sigmoid_(), torch.tanh(c_new, out=tanh), out=h_new)
        ctx.save_for_backward(inputs, weight_ih, weight_hh, gates, hidden, cells, squashed)
        return hidden[1:].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor):
        inputs, weight_ih, weight_hh, gates, hidden, cells, squashed = ctx.saved_tensors
        units = weight_hh.size(1)
        f, g, o = gates.chunk(3, dim=2)  # (T, B, H) each
        slope = torch.empty_like(gates)
        d_f, d_g, d_o = slope.chunk(3, dim=2)
        torch.addcmul(f, f, f, value=-1, out=d_f).mul_(cells[:-1] - g)
        torch.mul(g, g, out=d_g).neg_().add_(1).mul_(1 - f)
        torch.addcmul(hidden[1:], hidden[1:], o, value=-1, out=d_o)
        through = torch.addcmul(o, hidden[1:], squashed, value=-1)  # dh/dc
        fg = slope[..., : 2 * units].unflatten(2, (2, units))  # (T, B, 2, H)
        views = [part.unbind(0) for part in (slope, fg, d_o, through, f)]
        dh, dc = grad[-1], torch.zeros_like(hidden[0])
        for t in range(len(gates) - 1, -1, -1):
            z, z_fg, z_o, dh_dc, forget = (part[t] for part in views)
            z_o.mul_(dh)
            z_fg.mul_(dc.addcmul_(dh, dh_dc).unsqueeze(1))
            dc.mul_(forget)
            if t:
                dh = torch.addmm(grad[t - 1], z, weight_hh)
        return outer_gradients(slope, inputs, weight_ih, hidden)


class _MinimalFunction(torch.autograd.Function):
    """`MinimalRNN` with its gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight_ih: Tensor, weight_hh: Tensor):
        hidden = F.pad(F.linear(inputs, weight_ih), (0, 0, 0, 0, 1, 0))  # (T + 1, B, H), place 0 is the start
        recall = weight_hh.t()
        for before, now in itertools.pairwise(hidden):
            now.addmm_(before, recall)
        ctx.save_for_backward(inputs, weight_ih, weight_hh, hidden)
        return hidden[1:].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor):
        inputs, weight_ih, weight_hh, hidden = ctx.saved_tensors
        slope = grad.clone(memory_format=torch.contiguous_format)  # (T, B, H)
        for later, now in itertools.pairwise(reversed(slope.unbind(0))):
            now.addmm_(later, weight_hh)
        return outer_gradients(slope, inputs, weight_ih, hidden)[:3]


def outer_gradients(slope: Tensor, inputs: Tensor, weight_ih: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
    """Gradients of inputs, weight_ih, weight_hh and bias from those of the gates (T, B, GH), all steps at once."""
    flat = slope.flatten(0, 1)  # (TB, GH)
    seen = torch.cat([inputs, hidden[:-1]], dim=2).flatten(0, 1)  # (TB, I + H)
    d_ih, d_hh = (flat.t() @ seen).split([inputs.size(2), hidden.size(2)], dim=1)
    return slope @ weight_ih, d_ih, d_hh, flat.t().mv(flat.new_ones(len(flat)))
