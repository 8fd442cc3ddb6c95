"""Recovering images, also from damaged copies."""

import pytest
import torch
from objectives import Given

from runner.tasks.reconstruction import Reconstruction


def test_the_loss_is_the_distance_from_the_undamaged_image():
    images = torch.rand(500, 1, 4, 4)
    batch = (images, torch.zeros(500))
    assert Reconstruction(Given(), [1, 4, 4]).step(batch)["loss"] == 0
    assert float(Reconstruction(Given(), [1, 4, 4], noise=0.5).step(batch)["loss"]) == pytest.approx(0.25, rel=0.1)
    hidden = float(Reconstruction(Given(), [1, 4, 4], masked=0.4).step(batch)["loss"])
    assert hidden == pytest.approx(0.4 * float(images.square().mean()), rel=0.1)


def test_masked_pixels_are_black_and_the_rest_is_unchanged():
    images = torch.rand(50, 1, 4, 4) + 0.1
    seen = Reconstruction(Given(), [1, 4, 4], masked=0.5).damaged(images)
    assert set((seen[seen != images]).tolist()) == {0.0} and 0.3 < float((seen == 0).float().mean()) < 0.7
