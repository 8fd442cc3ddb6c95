"""The game for the codes of an autoencoder: a discriminator shall not tell them from draws of the prior N(0, 1).

The net has `.discriminator`, codes (B, Z) to the logit of coming from the prior, (B,); all its other parameters are
those of the autoencoder. Source: Makhzani et al., Adversarial Autoencoders, 2016, arXiv:1511.05644, section 2.
Departure: one step for reconstruction and regularisation together, as in the course book, chapter 14, section 5.

Shape letters: B batch, Z latent.
"""

from typing import Any

import torch
from torch import Tensor

from runner.tasks.base import Task
from runner.tasks.games import GAMES, GameName
from runner.tasks.means import Scalars, value_of


class CodeGame(Task):
    """How both players learn; a subclass says in `autoencoder_losses` what the autoencoder minimises besides the game.

    Args:
        net: see above.
    """

    weight = 1.0  # of the game in what the autoencoder minimises
    game = GAMES["non_saturating"]
    discriminator_steps = 1  # discriminator updates for each update of the autoencoder

    def play(self, weight: float, loss: GameName, discriminator_steps: int) -> None:
        """Take the settings of the game; a constructor calls it."""
        self.automatic_optimization = False
        self.weight, self.game, self.discriminator_steps = weight, GAMES[loss], discriminator_steps

    def configure_optimizers(self):
        named = self.net.named_parameters()
        autoencoder = [parameter for name, parameter in named if not name.startswith("discriminator.")]
        return [self.optimized(autoencoder), self.optimized(self.net.discriminator)]

    def reconstruction(self, batch: Any) -> tuple[Scalars, Tensor]:
        """Return how far what is recovered is from the batch, as "reconstruction", and the codes (B, Z)."""
        raise NotImplementedError(f"{type(self).__name__} has to define reconstruction(batch)")

    def minimised(self, parts: Scalars) -> Tensor:
        """What the autoencoder minimises besides the game, of what `reconstruction` returned."""
        return value_of(parts["reconstruction"])

    def discriminator_loss(self, codes: Tensor) -> Tensor:
        """Whether prior and codes (B, Z) are told apart."""
        prior = torch.randn_like(codes)
        return self.game.discriminator(self.net.discriminator(prior), self.net.discriminator(codes.detach()))

    def autoencoder_losses(self, batch: Any) -> tuple[Scalars, Tensor]:
        """What the autoencoder minimises, with its parts, and the codes (B, Z)."""
        parts, codes = self.reconstruction(batch)
        game = self.game.generator(self.net.discriminator(codes))
        return {"autoencoder_loss": self.minimised(parts) + self.weight * game, **parts}, codes

    def step(self, batch: Any) -> Scalars:
        losses, codes = self.autoencoder_losses(batch)
        return {**losses, "discriminator_loss": self.discriminator_loss(codes)}

    def training_step(self, batch: Any, batch_idx: int) -> None:
        autoencoder, discriminator = self.all_optimizers()
        losses, codes = self.autoencoder_losses(batch)
        self.update(autoencoder, value_of(losses["autoencoder_loss"]))
        for _ in range(self.discriminator_steps):
            losses["discriminator_loss"] = self.update(discriminator, self.discriminator_loss(codes))
        for schedule in self.schedules():
            schedule.step()
        self.training_means.add(dict(losses), self.rows(batch))
