"""Prior matching: recover images from codes that a discriminator cannot tell from draws of the prior N(0, 1).

The net has `.encoder`, `.decoder`, `.discriminator` of codes, and what `runner.tasks.image_codes` asks for; called with
images it returns what is recovered and the codes. Source: Makhzani et al., Adversarial Autoencoders, 2016,
arXiv:1511.05644, section 2. Departure: one step for reconstruction and regularisation together, as in the course book,
chapter 14, section 5.

Shape letters: B batch, Z latent.
"""

from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.tasks.games import GAMES, GameName
from runner.tasks.image_codes import ImageCodes
from runner.tasks.means import Scalars


class PriorMatching(ImageCodes):
    """Mean squared error of the pixels plus the weighted loss of the encoder in the game for the codes.

    Args:
        net: see above.
        image_shape: channels, height, width of an image.
        weight: of the game in what the autoencoder minimises, at least 0.
        loss: what is played for: minimax, non_saturating, wasserstein or hinge.
        discriminator_steps: discriminator updates for each update of the autoencoder, at least 1.
        sample_seed: of the samples drawn for `predict sample=`.
    """

    def __init__(
        self,
        net: nn.Module,
        image_shape: list[int],
        weight: float = 0.2,
        loss: GameName = "non_saturating",
        discriminator_steps: int = 1,
        sample_seed: int = 0,
    ):
        super().__init__(net, image_shape, sample_seed)
        self.automatic_optimization = False
        self.weight, self.game, self.discriminator_steps = weight, GAMES[loss], discriminator_steps

    def configure_optimizers(self):
        autoencoder = [*chain(self.net.encoder.parameters(), self.net.decoder.parameters())]
        return [self.optimized(autoencoder), self.optimized(self.net.discriminator)]

    def discriminator_loss(self, codes: Tensor) -> Tensor:
        """Whether prior and codes (B, Z) are told apart."""
        prior = torch.randn_like(codes)
        return self.game.discriminator(self.net.discriminator(prior), self.net.discriminator(codes.detach()))

    def autoencoder_losses(self, batch: Any) -> tuple[dict[str, Tensor], Tensor]:
        """What the autoencoder minimises, with its parts, and the codes (B, Z)."""
        recovered, codes = self.net(*self.inputs(batch))
        error = F.mse_loss(recovered, batch[0])
        game = self.game.generator(self.net.discriminator(codes))
        return {"autoencoder_loss": error + self.weight * game, "reconstruction": error}, codes

    def step(self, batch: Any) -> Scalars:
        losses, codes = self.autoencoder_losses(batch)
        return {**losses, "discriminator_loss": self.discriminator_loss(codes)}

    def evaluation_step(self, batch: Any) -> Scalars:
        losses, codes = self.autoencoder_losses(batch)
        self.collect(batch, codes)
        return {**losses, "discriminator_loss": self.discriminator_loss(codes)}

    def training_step(self, batch: Any, batch_idx: int) -> None:
        autoencoder, discriminator = self.all_optimizers()
        losses, codes = self.autoencoder_losses(batch)
        self.update(autoencoder, losses["autoencoder_loss"])
        for _ in range(self.discriminator_steps):
            losses["discriminator_loss"] = self.update(discriminator, self.discriminator_loss(codes))
        for schedule in self.schedules():
            schedule.step()
        self.training_means.add(dict(losses), self.rows(batch))
