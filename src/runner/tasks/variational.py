"""Variational autoencoding: maximise the evidence lower bound.

The net maps inputs to (logits of the pixels, mean, log-variance of the code); the target of the batch is used only to
colour figures. Source: Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014, arXiv:1312.6114, equation 10 and
appendix B.
"""

from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import CatMetric

from runner.datamodules.base import DataModule
from runner.figures import charts, images
from runner.tasks.base import Task
from runner.tasks.means import Scalars


class Variational(Task):
    """Bernoulli reconstruction error plus KL divergence from N(0, 1), summed over an example, in nats.

    Args:
        net: maps x to (x_hat logits of x's shape, mean (B, Z), log_var (B, Z)); has `decode(z)` and `latent_dim`.
        image_shape: channels, height, width of an input.
        kl_weight: factor of the KL divergence; 1 gives the bound itself.
    """

    def __init__(
        self,
        net: nn.Module,
        image_shape: list[int],
        kl_weight: float = 1.0,
    ):
        super().__init__(net)
        self.image_shape = tuple(image_shape)
        self.kl_weight = kl_weight
        self.codes, self.labels = CatMetric(), CatMetric()

    def step(self, batch: Any) -> Scalars:
        return self.scalars(batch, *self.net(*self.inputs(batch)))

    def evaluation_step(self, batch: Any) -> Scalars:
        _, mean, log_var = self.net(*self.inputs(batch))
        x_hat = self.net.decode(self.net.sample(mean, log_var))  # the bound is an expectation over sampled codes
        self.codes.update(mean)
        self.labels.update(batch[-1])
        return self.scalars(batch, x_hat, mean, log_var)

    def scalars(self, batch: Any, x_hat: Tensor, mean: Tensor, log_var: Tensor) -> Scalars:
        """Return the bound and its two parts, means over the batch of sums over pixels and code."""
        rows = len(mean)
        reconstruction = F.binary_cross_entropy_with_logits(x_hat, batch[0], reduction="sum") / rows
        kl = (mean.square() + log_var.exp() - 1 - log_var).sum() / (2 * rows)
        return {
            "loss": reconstruction + self.kl_weight * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "elbo": -(reconstruction + kl),
        }

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.codes.reset()
        self.labels.reset()

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {f"code_{number}": "double" for number in range(self.net.latent_dim)}

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: the mean of its code."""
        _, mean, _ = self.net(*self.encoded(rows, data))
        return [dict(zip(self.answer_columns(data), row, strict=True)) for row in mean.tolist()]

    @torch.inference_mode()
    def figures(self) -> dict[str, Figure]:
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(64, self.net.latent_dim, generator=generator).to(self.device)
        samples = self.net.decode(noise).sigmoid().reshape(-1, *self.image_shape)
        drawn = {"samples": images.image_grid(samples.cpu().numpy(), "samples from the prior")}
        codes, labels = (kept.compute().cpu().numpy() for kept in (self.codes, self.labels))
        drawn["latent_space"] = charts.latent_space(codes, labels)
        if self.net.latent_dim == 2:
            # Equal steps of probability under the prior, so that the grid covers it evenly.
            steps = torch.special.ndtri(torch.linspace(0.05, 0.95, 15))
            grid = torch.cartesian_prod(steps.flip(0), steps).flip(1).to(self.device)  # (225, 2), top row first
            manifold = self.net.decode(grid).sigmoid().reshape(-1, *self.image_shape)
            drawn["manifold"] = images.image_grid(manifold.cpu().numpy(), "decoded codes over the plane")
        return drawn
