"""An autoencoder against a discriminator of its codes."""

import pytest
import torch
import torch.nn.functional as F
from small_runs import settings

from runner.build import build_task


@pytest.fixture
def aae():
    torch.manual_seed(0)
    return build_task(settings("aae", "task.weight=0.5")).eval()


def test_what_the_autoencoder_minimises(aae):
    batch = (torch.rand(6, 1, 28, 28), torch.zeros(6, dtype=torch.int64))
    found = aae.step(batch)
    recovered, codes = aae.net(batch[0])
    game = -aae.net.discriminator(codes).sigmoid().log().mean()
    torch.testing.assert_close(found["autoencoder_loss"], F.mse_loss(recovered, batch[0]) + 0.5 * game)


def test_the_discriminator_sends_no_gradient_to_the_encoder(aae):
    codes = aae.net.codes(torch.rand(6, 1, 28, 28))
    aae.discriminator_loss(codes).backward()
    assert all(parameter.grad is None for parameter in aae.net.encoder.parameters())
    assert all(parameter.grad is not None for parameter in aae.net.discriminator.parameters())


def test_a_tiny_training_reports_how_far_the_codes_are_from_the_prior(tmp_path, no_figures):
    from runner.training.train import train

    found = train(settings("aae", "model.conditional=true"), tmp_path)
    assert {"test/mmd", "test/knn_accuracy", "test/reconstruction", "val/discriminator_loss"} <= set(found)
