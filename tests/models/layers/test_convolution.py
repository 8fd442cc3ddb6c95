"""Gated convolutions against a loop over the tokens."""

import pytest
import torch

from runner.models.layers.convolution import GatedConvolution


@pytest.mark.parametrize(("width", "causal"), [(3, True), (3, False), (2, True)])
def test_a_gate_opens_and_closes_what_a_window_says(width, causal) -> None:
    layer = GatedConvolution(4, width, causal).eval()
    inputs = torch.randn(1, 5, 4)
    found = layer(inputs)[0]
    weight, bias = layer.convolution.weight, layer.convolution.bias  # (8, 4, W), (8,)
    before = width - 1 if causal else width // 2
    for place in range(5):
        said = bias.clone()
        for step in range(width):
            seen = place - before + step
            if 0 <= seen < 5:
                said = said + weight[:, :, step] @ inputs[0, seen]
        torch.testing.assert_close(found[place], said[:4] * torch.sigmoid(said[4:]), atol=1e-5, rtol=1e-4)
