"""The bound against torch's own distributions."""

import pytest
import torch
import torch.nn.functional as F
from objectives import Given

from runner.tasks.variational import Variational


def test_the_bound_against_torch_distributions():
    task = Variational(Given(), [1, 2, 3], kl_weight=2.0)
    draw = torch.Generator().manual_seed(0)
    pixels = torch.rand(5, 1, 2, 3, generator=draw)
    x_hat = torch.randn(5, 1, 2, 3, generator=draw)
    mean, log_var = torch.randn(5, 2, generator=draw), torch.randn(5, 2, generator=draw)
    found = task.scalars((pixels, None), x_hat, mean, log_var)
    code = torch.distributions.Normal(mean, (log_var / 2).exp())
    kl = torch.distributions.kl_divergence(code, torch.distributions.Normal(0, 1)).sum(1).mean()
    nats = F.binary_cross_entropy(x_hat.sigmoid(), pixels, reduction="none").sum((1, 2, 3)).mean()
    wanted = {"kl": kl, "reconstruction": nats, "loss": nats + 2 * kl, "elbo": -(nats + kl)}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {name: value.item() for name, value in wanted.items()}, rel=1e-5
    )


def test_a_code_like_the_prior_costs_nothing():
    task = Variational(Given(), [1, 1, 1])
    zeros = torch.zeros(3, 4)
    assert task.scalars((torch.zeros(3, 1, 1, 1),), torch.zeros(3, 1, 1, 1), zeros, zeros)["kl"] == 0


def test_gaussian_pixels_against_torch_distributions():
    task = Variational(Given(), [1, 2, 3], likelihood="gaussian", pixel_std=0.2)
    pixels, x_hat, zeros = torch.rand(5, 1, 2, 3), torch.randn(5, 1, 2, 3), torch.zeros(5, 2)
    density = torch.distributions.Normal(x_hat.sigmoid(), 0.2).log_prob(pixels).sum((1, 2, 3)).mean()
    assert task.scalars((pixels, None), x_hat, zeros, zeros)["elbo"].item() == pytest.approx(density.item(), rel=1e-5)


class Linear(torch.nn.Module):
    """A model whose likelihood is known: x = z + noise of variance 1/4, z from N(0, 1), so x is from N(0, 5/4)."""

    conditional, latent_dim = False, 1

    def encode(self, x):
        return 0.7 * x.flatten(1), torch.full((len(x), 1), -1.0)  # not the true posterior: mean 0.8 x, variance 0.2

    def sample(self, mean, log_var):
        return mean + (log_var / 2).exp() * torch.randn_like(mean)

    def decode(self, z):
        return z.reshape(-1, 1, 1, 1)


def test_the_importance_weighted_estimate_reaches_the_likelihood():
    task = Variational(Linear(), [1, 1, 1], importance_samples=5000)
    task.log_probability = lambda mean, x, std: torch.distributions.Normal(mean, 0.5).log_prob(x).flatten(1).sum(1)
    batch = (torch.tensor([0.3, -1.0, 2.0]).reshape(3, 1, 1, 1), torch.zeros(3))
    wanted = torch.distributions.Normal(0, 1.25**0.5).log_prob(batch[0]).flatten()
    torch.testing.assert_close(task.importance_weighted(batch), wanted, atol=0.03, rtol=0)
    bound = torch.stack([task.evaluation_step(batch)["elbo"] for _ in range(500)]).mean()
    assert bound < wanted.mean() - 0.02
