"""Recurrent layers against torch's own: both directions, steps, merges, dropout."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from values import CLOSE, INPUTS, LENGTHS, ROWS, UNITS, random_inputs, real

from runner.models.layers.cells import CELLS
from runner.models.layers.recurrent import Recurrent


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, False), (1, True), (2, True)])
@pytest.mark.parametrize(("cell", "torchs"), [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_equals_torch_with_copied_weights(cell, torchs, layers, both, padded) -> None:
    ours = Recurrent(INPUTS, UNITS, cell, num_layers=layers, bidirectional=both)
    theirs = torchs(INPUTS, UNITS, num_layers=layers, bidirectional=both, batch_first=True)
    pairs = []  # (ours, theirs)
    for layer in range(layers):
        for modules, ending in ((ours.forwards, ""), (ours.backwards, "_reverse"))[: 1 + both]:
            for name, weight in modules[layer].kernel.named_parameters():
                pairs.append((weight, getattr(theirs, f"{name[:-1]}{layer}{ending}")))
    with torch.no_grad():
        for mine, other in pairs:
            mine.uniform_(-0.5, 0.5)  # biases too
            other.copy_(mine)
    inputs = random_inputs().requires_grad_()
    twin = inputs.detach().clone().requires_grad_()
    outputs, last = ours(inputs, LENGTHS if padded else None)
    if padded:
        packed = pack_padded_sequence(twin, LENGTHS, batch_first=True, enforce_sorted=False)
        wanted, state = theirs(packed)
        wanted, _ = pad_packed_sequence(wanted, batch_first=True)
        outputs = outputs * real(LENGTHS)
    else:
        wanted, state = theirs(twin)
    state = state[0] if isinstance(state, tuple) else state  # (layers * directions, B, H)
    torch.testing.assert_close(outputs, wanted, **CLOSE)
    torch.testing.assert_close(last, torch.cat(list(state[-1 - both :]), dim=1), **CLOSE)
    weight = torch.randn_like(wanted) / 10
    (outputs * weight).sum().backward()
    (wanted * weight).sum().backward()
    torch.testing.assert_close(inputs.grad, twin.grad, **CLOSE)
    for mine, other in pairs:
        torch.testing.assert_close(mine.grad, other.grad, **CLOSE)


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_after_another_equals_forward(cell) -> None:
    layer = Recurrent(INPUTS, UNITS, cell, num_layers=2, dropout=0.5).eval()
    inputs, outputs = random_inputs(), []
    state = layer.start(inputs)
    for now in inputs.unbind(1):
        output, state = layer.step(now, state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, dim=1), layer(inputs)[0], **CLOSE)
    assert [len(part) for part in state] == [layer.forwards[0].states] * 2
    assert all(value.shape == (ROWS, UNITS) for part in state for value in part)


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "mean"])
def test_merges(merge) -> None:
    layer = Recurrent(INPUTS, UNITS, "peephole", bidirectional=True, merge=merge)
    inputs = random_inputs()
    outputs, last = layer(inputs, LENGTHS)
    ahead = layer.forwards[0](inputs.transpose(0, 1)).transpose(0, 1)  # (B, T, H)
    for row, length in enumerate(LENGTHS):
        turned = layer.backwards[0](inputs[row, :length].flip(0).unsqueeze(1)).squeeze(1).flip(0)  # (T, H)
        one, other = ahead[row, :length], turned
        joined = {"concat": torch.cat([one, other], 1), "sum": one + other, "mul": one * other}
        wanted = joined.get(merge, (one + other) / 2)
        torch.testing.assert_close(outputs[row, :length], wanted, **CLOSE)
        ends = {"concat": torch.cat([one[-1], other[0]]), "sum": one[-1] + other[0], "mul": one[-1] * other[0]}
        torch.testing.assert_close(last[row], ends.get(merge, (one[-1] + other[0]) / 2), **CLOSE)


@pytest.mark.parametrize("cell", CELLS)
def test_variational_dropout_leaves_out_the_same_units_at_every_step(cell) -> None:
    layer = Recurrent(INPUTS, 50, cell, num_layers=2, dropout=0.5, variational=True).train()
    seen = []
    layer.forwards[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    layer(random_inputs() + 1)
    steps, keep = seen[0]  # (T, B, H), (B, H)
    dropped = steps == 0
    assert torch.equal(dropped, dropped[:1].expand_as(dropped)) and 0.3 < dropped.float().mean() < 0.7
    assert set(keep.unique().tolist()) == {0.0, 2.0}
    layer.eval()
    inputs = random_inputs()
    assert torch.equal(layer(inputs)[0], layer(inputs)[0])
