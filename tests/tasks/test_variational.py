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
