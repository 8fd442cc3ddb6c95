"""A noisy sine."""

import pytest
import torch

from runner.datamodules.noisy_sine import NoisySine


def test_noisy_sine_is_tested_on_the_truth():
    data = NoisySine()
    data.setup()
    for part, noise in (("train", 0.1), ("val", 0.1), ("test", 0.0)):
        x, y = getattr(data, part).gather(torch.arange(64), torch.Generator())
        assert (y - torch.sin(x)).std().item() == pytest.approx(noise, abs=0.03)
    assert not torch.equal(data.train.batch[1], data.val.batch[1])
