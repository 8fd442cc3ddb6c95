"""Adversarial training: a generator and a discriminator, each with its own optimizer, in alternating steps.

The net has `.generator` (noise (B, Z) -> examples), `.discriminator` (examples -> logits (B,)) and `.latent_dim`.
Source: Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014, arXiv:1406.2661, algorithm 1; the generator
maximises log D(G(z)) as section 3 recommends.
"""

from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from runner.errors import UserError
from runner.figures import images
from runner.tasks.base import Task
from runner.tasks.means import Scalars


class Adversarial(Task):
    """Binary cross-entropy of both players, and a grid of samples from fixed noise.

    Args:
        net: has `.generator`, `.discriminator` and `.latent_dim`.
        image_shape: channels, height, width of an example.
        discriminator_steps: discriminator updates for each generator update, at least 1.
    """

    def __init__(
        self,
        net: nn.Module,
        image_shape: list[int],
        discriminator_steps: int = 1,
    ):
        super().__init__(net)
        if discriminator_steps < 1:
            raise UserError(f"task.discriminator_steps must be at least 1, received {discriminator_steps}")
        self.automatic_optimization = False
        self.image_shape = tuple(image_shape)
        self.discriminator_steps = discriminator_steps

    def configure_optimizers(self):
        return [
            self.optimized(self.net.generator),
            self.optimized(self.net.discriminator),
        ]

    def noise(self, rows: int) -> Tensor:
        return torch.randn(rows, self.net.latent_dim, device=self.device)

    def inputs(self, batch: Any) -> tuple:
        """The net is called with noise, one row for each example of the batch."""
        return (self.noise(len(batch[0])),)

    def discriminator_loss(self, real: Tensor) -> Tensor:
        with torch.no_grad():
            fake = self.net.generator(self.noise(len(real)))
        logits = self.net.discriminator(torch.cat([real.reshape_as(fake), fake]))  # (2B,)
        is_real = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))]).to(logits)
        return F.binary_cross_entropy_with_logits(logits, is_real)

    def generator_loss(self, rows: int) -> Tensor:
        logits = self.net.discriminator(self.net.generator(self.noise(rows)))  # (B,)
        return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

    def step(self, batch: Any) -> Scalars:
        real = batch[0]
        return {
            "discriminator_loss": self.discriminator_loss(real),
            "generator_loss": self.generator_loss(len(real)),
        }

    def training_step(self, batch: Any, batch_idx: int) -> None:
        real = batch[0]
        generator, discriminator = self.all_optimizers()
        for _ in range(self.discriminator_steps):
            discriminator_loss = self.update(discriminator, self.discriminator_loss(real))
        generator_loss = self.update(generator, self.generator_loss(len(real)))
        for schedule in self.schedules():
            schedule.step()
        losses: Scalars = {"discriminator_loss": discriminator_loss, "generator_loss": generator_loss}
        self.training_means.add(losses, len(real))

    def update(self, optimizer: Any, loss: Tensor) -> Tensor:
        """Update one player by one step."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip(optimizer)
        optimizer.step()
        self.limit_weights()
        return loss

    @torch.inference_mode()
    def figures(self) -> dict[str, Figure]:
        noise = torch.randn(64, self.net.latent_dim, generator=torch.Generator().manual_seed(0)).to(self.device)
        samples = self.net.generator(noise).reshape(-1, *self.image_shape)
        return {"samples": images.image_grid(samples.cpu().numpy(), "samples of the generator")}
