"""The bound of the VAE, and how it draws codes."""

import math

import pytest
import torch

from runner.models.vae import VAE
from runner.tasks.variational import Variational


def test_vae_divergence_is_that_of_torch_distributions() -> None:
    net = VAE(image_shape=[1, 4, 4], hidden_dims=[16], latent_dim=3)
    task = Variational(net, image_shape=[1, 4, 4])
    images = torch.rand(5, 1, 4, 4)
    x_hat, mean, log_var = net(images)
    assert x_hat.shape == images.shape
    assert mean.shape == log_var.shape == (5, 3)
    scores = task.scalars((images, torch.zeros(5)), x_hat, mean, log_var)
    code = torch.distributions.Normal(mean, log_var.div(2).exp())
    divergence = torch.distributions.kl_divergence(code, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(scores["kl"], divergence)
    # Bernoulli's log-probability is linear in the pixel, so that of grey is the mixture of those of black and
    # white.
    pixels = torch.distributions.Bernoulli(logits=x_hat)
    white, black = pixels.log_prob(torch.ones_like(images)), pixels.log_prob(torch.zeros_like(images))
    likelihood = (images * white + (1 - images) * black).sum((1, 2, 3)).mean()
    torch.testing.assert_close(scores["elbo"], likelihood - divergence)


def test_vae_samples_in_training_alone() -> None:
    net = VAE(image_shape=[1, 4, 4], hidden_dims=[16], latent_dim=3)
    images = torch.rand(2, 1, 4, 4)
    assert not torch.equal(net(images)[0], net(images)[0])
    net.eval()
    x_hat, mean, _ = net(images)
    torch.testing.assert_close(x_hat, net.decode(mean))


def test_vae_draws_codes_with_the_mean_and_variance_it_was_given() -> None:
    net = VAE(image_shape=[1, 2, 2], hidden_dims=[4], latent_dim=1)
    draws = net.sample(torch.full((20_000, 1), 3.0), torch.full((20_000, 1), math.log(0.25)))
    assert float(draws.mean()) == pytest.approx(3.0, abs=0.02)
    assert float(draws.std()) == pytest.approx(0.5, abs=0.02)


def test_a_conditional_vae_tells_its_decoder_the_class() -> None:
    net = VAE(image_shape=[1, 4, 4], hidden_dims=[16], latent_dim=3, conditional=True, num_classes=5).eval()
    task = Variational(net, image_shape=[1, 4, 4])
    batch = (torch.rand(5, 1, 4, 4), torch.arange(5))
    assert len(task.inputs(batch)) == 2
    x_hat, mean, _ = net(*batch)
    others, same, _ = net(batch[0], batch[1].flip(0))
    torch.testing.assert_close(mean, same)
    assert [torch.equal(one, other) for one, other in zip(x_hat, others, strict=True)] == [
        False, False, True, False, False]  # fmt: skip
    assert task.step(batch)["loss"].isfinite()
    assert task.decoded(torch.zeros(7, 3)).shape == (7, 1, 4, 4)
