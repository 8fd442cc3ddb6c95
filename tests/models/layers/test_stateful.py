"""Layers with a state: in two halves as in one, and how a decoder's first state is made."""

import pytest
import torch

from runner.models.layers.stateful import Bridge, read, stateful, zeros


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_two_halves_are_read_as_the_whole(cell) -> None:
    layers = stateful(3, 4, cell, num_layers=2)
    inputs = torch.randn(5, 6, 3)
    whole, last = read(layers, inputs, zeros(layers, inputs))
    first, between = read(layers, inputs[:, :2], zeros(layers, inputs))
    second, after = read(layers, inputs[:, 2:], between)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(after, last)
    torch.testing.assert_close(whole, layers(inputs)[0])
    assert {part.shape for part in last} == {(5, 2, 4)}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_decoder_begins_with_a_layer_of_tanh_on_what_was_read(cell) -> None:
    layers = stateful(3, 4, cell, num_layers=2)
    bridge, last = Bridge(5, layers), torch.randn(6, 5)
    state = bridge(last)
    wanted = torch.tanh(bridge.weight(last)).view(6, -1, 2, 4)
    assert len(state) == len(zeros(layers, last))
    torch.testing.assert_close(torch.stack(state, dim=1), wanted)
