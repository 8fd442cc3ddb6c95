"""Cells step by step in NumPy, and the gradients written by hand."""

import numpy as np
import pytest
import torch
from values import CLOSE, INPUTS, ROWS, STEPS, UNITS, random_inputs

from runner.models.layers.cells import CELLS, step_by_step


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def peephole_step(x, h, c, w):
    """Chapter 9, section 5: i and f see the old c, o the new one, each through a matrix."""
    i, f, g, o = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"], 4)
    see_i, see_f, see_o = np.split(w["weight_ch"], 3)
    new = sigmoid(f + see_f @ c) * c + sigmoid(i + see_i @ c) * np.tanh(g)
    return sigmoid(o + see_o @ new) * np.tanh(new), new


def coupled_step(x, h, c, w):
    f, g, o = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"], 3)
    new = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(g)
    return sigmoid(o) * np.tanh(new), new


def minimal_step(x, h, c, w):
    return w["weight_ih"] @ x + w["weight_hh"] @ h, c


REFERENCES = {"peephole": peephole_step, "coupled": coupled_step, "minimal": minimal_step}


@pytest.mark.parametrize("cell", REFERENCES)
def test_equals_numpy_step_by_step(cell) -> None:
    layer = CELLS[cell](INPUTS, UNITS).double()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.uniform_(-1, 1)
    weights = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    inputs = random_inputs(torch.float64).transpose(0, 1)  # (T, B, I)
    for found in (layer(inputs), step_by_step(layer, inputs, None)):  # the fast way and the plain one
        for row in range(ROWS):
            h = c = np.zeros(UNITS)
            for step in range(STEPS):
                h, c = REFERENCES[cell](inputs[step, row].numpy(), h, c, weights)
                np.testing.assert_allclose(found[step, row].detach().numpy(), h, atol=1e-12)


@pytest.mark.parametrize("cell", REFERENCES)
def test_gradients_written_by_hand(cell) -> None:
    layer = CELLS[cell](INPUTS, UNITS).double()
    inputs = random_inputs(torch.float64).transpose(0, 1).contiguous().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (inputs, *layer.parameters()))


@pytest.mark.parametrize("cell", CELLS)
def test_plain_steps_equal_the_fast_way(cell) -> None:
    layer, inputs = CELLS[cell](INPUTS, UNITS), random_inputs().transpose(0, 1)
    torch.testing.assert_close(layer(inputs), step_by_step(layer, inputs, torch.ones(ROWS, UNITS)), **CLOSE)
    with torch.inference_mode():
        torch.testing.assert_close(layer(inputs), step_by_step(layer, inputs, None), **CLOSE)


def test_a_mask_on_the_state_reaches_every_cell() -> None:
    inputs, keep = random_inputs().transpose(0, 1), torch.zeros(ROWS, UNITS)
    for name, kind in CELLS.items():
        layer = kind(INPUTS, UNITS)
        assert torch.equal(layer(inputs)[:1], layer(inputs, keep)[:1]) or torch.allclose(
            layer(inputs)[:1], layer(inputs, keep)[:1], atol=1e-6
        ), name
        assert not torch.allclose(layer(inputs)[1:], layer(inputs, keep)[1:], atol=1e-3), name
