"""Prior matching: recover images from codes that a discriminator cannot tell from draws of the prior N(0, 1).

The net has what `runner.tasks.code_game` and `runner.tasks.image_codes` ask for; called with images it returns what is
recovered and the codes. Source: Makhzani et al., Adversarial Autoencoders, 2016, arXiv:1511.05644, section 2.

Shape letters: B batch, Z latent.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from runner.tasks.code_game import CodeGame
from runner.tasks.games import GameName
from runner.tasks.image_codes import ImageCodes
from runner.tasks.means import Scalars


class PriorMatching(CodeGame, ImageCodes):
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
        ImageCodes.__init__(self, net, image_shape, sample_seed)
        self.play(weight, loss, discriminator_steps)

    def reconstruction(self, batch: Any) -> tuple[Scalars, Tensor]:
        recovered, codes = self.net(*self.inputs(batch))
        return {"reconstruction": F.mse_loss(recovered, batch[0])}, codes

    def evaluation_step(self, batch: Any) -> Scalars:
        losses, codes = self.autoencoder_losses(batch)
        self.collect(batch, codes)
        return {**losses, "discriminator_loss": self.discriminator_loss(codes)}
