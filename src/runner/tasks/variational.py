"""Variational autoencoding: maximise the evidence lower bound.

The net maps inputs to (logits of the pixels, mean, log-variance of the code), see also `runner.tasks.image_codes`; the
target of the batch is used only to colour figures and, by a conditional net, as the known class. Source: Kingma and
Welling, Auto-Encoding Variational Bayes, ICLR 2014, arXiv:1312.6114, equation 10 and appendix B; the weight of the
divergence: Higgins et al., beta-VAE, ICLR 2017; the importance-weighted estimate: Burda, Grosse and Salakhutdinov,
ICLR 2016, arXiv:1509.00519, equation 8.

Shape letters: B batch, Z latent.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.tasks.image_codes import ImageCodes
from runner.tasks.means import Scalars


def bernoulli(logits: Tensor, pixels: Tensor, std: float) -> Tensor:
    """Log-probability of pixels in 0 .. 1, in nats, summed over an image: (B,)."""
    return -F.binary_cross_entropy_with_logits(logits, pixels, reduction="none").flatten(1).sum(dim=1)


def gaussian(logits: Tensor, pixels: Tensor, std: float) -> Tensor:
    """Log-density of pixels around sigmoid(logits) with standard deviation `std`, in nats, over an image: (B,)."""
    squares = (pixels - logits.sigmoid()).square() / (2 * std**2)
    return -(squares + math.log(std) + math.log(2 * math.pi) / 2).flatten(1).sum(dim=1)


LIKELIHOODS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"bernoulli": bernoulli, "gaussian": gaussian}


class Variational(ImageCodes):
    """Reconstruction error plus KL divergence from N(0, 1), summed over an example, in nats.

    Args:
        net: maps x to (x_hat logits of x's shape, mean (B, Z), log_var (B, Z)); has `decode(z)` and `latent_dim`.
        image_shape: channels, height, width of an input.
        kl_weight: factor of the KL divergence, the beta of a beta-VAE, at least 0; 1 gives the bound itself.
        likelihood: of the pixels: bernoulli or gaussian.
        pixel_std: standard deviation of a Gaussian pixel, above 0.
        importance_samples: codes drawn for each test image to estimate its log-likelihood, at least 0; 0 = it is not
            estimated.
        sample_seed: of the samples drawn for `predict sample=`.
    """

    def __init__(
        self,
        net: nn.Module,
        image_shape: list[int],
        kl_weight: float = 1.0,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        pixel_std: float = 0.3,
        importance_samples: int = 50,
        sample_seed: int = 0,
    ):
        super().__init__(net, image_shape, sample_seed)
        self.kl_weight, self.importance_samples = kl_weight, importance_samples
        self.log_probability, self.pixel_std = LIKELIHOODS[likelihood], pixel_std

    def step(self, batch: Any) -> Scalars:
        return self.scalars(batch, *self.net(*self.inputs(batch)))

    def evaluation_step(self, batch: Any) -> Scalars:
        mean, log_var = self.net.encode(batch[0])
        self.collect(batch, mean)
        # The bound is an expectation over sampled codes.
        return self.scalars(batch, self.decode_sample(batch, self.net.sample(mean, log_var)), mean, log_var)

    def decode_sample(self, batch: Any, codes: Tensor) -> Tensor:
        """Codes (B, Z) of a batch to logits of its pixels."""
        return self.net.decode(codes, *self.inputs(batch)[1:])

    def test_step(self, batch: Any, batch_idx: int) -> None:
        scalars = self.evaluation_step(batch)
        if self.importance_samples:
            scalars["log_likelihood"] = self.importance_weighted(batch).mean()
        self.evaluation_means.add(scalars, self.rows(batch))

    def scalars(self, batch: Any, x_hat: Tensor, mean: Tensor, log_var: Tensor) -> Scalars:
        """Return the bound and its two parts, means over the batch of sums over pixels and code."""
        reconstruction = -self.log_probability(x_hat, batch[0], self.pixel_std).mean()
        kl = (mean.square() + log_var.exp() - 1 - log_var).sum() / (2 * len(mean))
        return {
            "loss": reconstruction + self.kl_weight * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "elbo": -(reconstruction + kl),
        }

    def importance_weighted(self, batch: Any) -> Tensor:
        """The log of the mean of p(x, z) / q(z | x) over codes drawn for each image, in nats: (B,).

        It grows with the number of codes, from the bound towards the log-likelihood.
        """
        mean, log_var = self.net.encode(batch[0])
        weights = []
        for _ in range(self.importance_samples):
            codes = self.net.sample(mean, log_var)  # (B, Z)
            prior = -codes.square() / 2
            posterior = -((codes - mean).square() / log_var.exp() + log_var) / 2  # both without the same constant
            pixels = self.log_probability(self.decode_sample(batch, codes), batch[0], self.pixel_std)
            weights.append(pixels + (prior - posterior).sum(dim=1))
        return torch.stack(weights).logsumexp(dim=0) - math.log(len(weights))
