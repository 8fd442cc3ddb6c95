"""Adversarial training: a generator and a discriminator, each with its own optimizer, in alternating steps.

The net has `.generator` (noise (B, Z) -> images), `.discriminator` (images -> logits (B,)) and `.latent_dim`; one whose
discriminator judges several images at once says how many, `.packing`. What they play for is in `runner.tasks.games`.
Source: Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014, arXiv:1406.2661, algorithm 1.

Shape letters: B batch, N samples, Z latent.
"""

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pytorch_lightning import Trainer
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.figures import charts, images
from runner.tasks.base import Question, Task
from runner.tasks.games import GAMES, GameName, gradient_penalty, packs, unrolled
from runner.tasks.image_codes import STEPS, number_of_samples, two_ends, written
from runner.tasks.judge import ImageJudge, judged
from runner.tasks.means import Scalars

COMPARED = 2000  # real images, at most, with which the samples are compared; at random, since files may be sorted


class Adversarial(Task):
    """The losses of both players, samples from fixed noise, and what a classifier says of samples.

    Args:
        net: has `.generator`, `.discriminator` and `.latent_dim`.
        image_shape: channels, height, width of an example.
        loss: what is played for: minimax, non_saturating, wasserstein or hinge.
        discriminator_steps: discriminator updates for each generator update, at least 1.
        gradient_penalty: weight of the penalty for a slope other than 1, at least 0; None = 10 with wasserstein, else
            0.
        unrolled_steps: steps that the generator looks ahead of the discriminator, at least 0.
        unrolled_lr: learning rate of these steps, above 0.
        judged: samples that a classifier, trained on the training split for it, judges after the training, at least 0;
            0 = none.
        sample_seed: of the samples drawn for `predict sample=`.
    """

    at_use = ("sample_seed",)

    def __init__(
        self,
        net: nn.Module,
        image_shape: list[int],
        loss: GameName = "non_saturating",
        discriminator_steps: int = 1,
        gradient_penalty: float | None = None,
        unrolled_steps: int = 0,
        unrolled_lr: float = 0.1,
        judged: int = 2000,
        sample_seed: int = 0,
    ):
        super().__init__(net)
        self.automatic_optimization = False
        self.image_shape = tuple(image_shape)
        self.game = GAMES[loss]
        self.discriminator_steps = discriminator_steps
        self.penalty = self.game.penalty if gradient_penalty is None else gradient_penalty
        self.unrolled_steps, self.unrolled_lr = unrolled_steps, unrolled_lr
        self.judged, self.sample_seed = judged, sample_seed

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

    # The two players.

    def packed(self, examples: Tensor) -> Tensor:
        """Images as the discriminator judges them."""
        return packs(examples.reshape(-1, *self.image_shape), getattr(self.net, "packing", 1))

    def discriminator_loss(self, real: Tensor) -> Tensor:
        with torch.no_grad():
            made = self.packed(self.net.generator(self.noise(len(real))))
        real = self.packed(real)
        loss = self.game.discriminator(*self.judge_both(real, made))
        if self.penalty and torch.is_grad_enabled():
            loss = loss + self.penalty * gradient_penalty(self.net.discriminator, real, made)
        return loss

    def judge_both(self, real: Tensor, made: Tensor) -> tuple[Tensor, ...]:
        """The logits of real and made examples, judged in one call."""
        return self.net.discriminator(torch.cat([real, made])).tensor_split([len(real)])

    def generator_loss(self, real: Tensor) -> Tensor:
        made = self.packed(self.net.generator(self.noise(len(real))))
        if not self.unrolled_steps or not torch.is_grad_enabled():
            return self.game.generator(self.net.discriminator(made))
        ahead = self.unrolled_steps, self.unrolled_lr
        return self.game.generator(unrolled(self.net.discriminator, self.game, self.packed(real), made, *ahead))

    def step(self, batch: Any) -> Scalars:
        return {
            "discriminator_loss": self.discriminator_loss(batch[0]),
            "generator_loss": self.generator_loss(batch[0]),
        }

    def training_step(self, batch: Any, batch_idx: int) -> None:
        real = batch[0]
        generator, discriminator = self.all_optimizers()
        for _ in range(self.discriminator_steps):
            discriminator_loss = self.update(discriminator, self.discriminator_loss(real))
        generator_loss = self.update(generator, self.generator_loss(real))
        for schedule in self.schedules():
            schedule.step()
        losses: Scalars = {"discriminator_loss": discriminator_loss, "generator_loss": generator_loss}
        self.training_means.add(losses, len(real))

    # Measuring.

    def evaluate(self, trainer: Trainer, data: DataModule, split: str) -> dict[str, float]:
        found = super().evaluate(trainer, data, split)
        if split != "test" or data.test is None or not self.judged or data.class_names is None:
            return found
        draw = torch.Generator().manual_seed(0)
        rows = [torch.randperm(data.sizes[part], generator=draw)[:COMPARED] for part in ("train", "test")]
        seen, real = data.train.gather(rows[0], draw), data.test.gather(rows[1], draw)
        judge = ImageJudge(data.train, self.image_shape, len(data.class_names), self.device)
        self.eval()
        noise = torch.randn(self.judged, self.net.latent_dim, generator=draw.manual_seed(0)).to(self.device)
        scores = judged(self.net, noise, judge, (real[0].to(self.device), real[-1]), seen[0].to(self.device))
        return found | {f"{split}/{name}": float(value) for name, value in scores.items()}

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        return (self.seeded_noise(rows, 0),)

    # Questions and figures.

    @torch.inference_mode()
    def made(self, noise: Tensor) -> np.ndarray:
        """The images of noise (N, Z)."""
        return self.net.generator(noise.to(self.device)).reshape(-1, *self.image_shape).cpu().numpy()

    def seeded_noise(self, rows: int, seed: int) -> Tensor:
        return torch.randn(rows, self.net.latent_dim, generator=torch.Generator().manual_seed(seed))

    def questions(self) -> dict[str, Question]:
        return {"sample": self.sample, "interpolate": self.interpolate}

    def sample(self, text: str, data: DataModule) -> list[dict]:
        """Draw images: sample=64."""
        return written(self.made(self.seeded_noise(number_of_samples(text), self.sample_seed)), "samples")

    def interpolate(self, text: str, data: DataModule) -> list[dict]:
        """Go from the noise of one seed to that of another: interpolate="1|2"."""
        ends = two_ends(text)
        if not all(end.isdecimal() for end in ends):
            raise UserError(f'interpolate="1|2" takes two whole numbers, the seeds of the noise, received {text!r}')
        one, other = (self.seeded_noise(1, int(end)) for end in ends)
        share = torch.linspace(0, 1, STEPS)[:, None]
        return written(self.made(one * (1 - share) + other * share), "interpolation")

    def figures(self) -> dict[str, Figure]:
        history: Any = self.trainer.logger  # of training, see `runner.training.history`
        if history is None:
            return self.epoch_figures()
        curves = {name: history.curve(f"train/{name}_loss") for name in ("discriminator", "generator")}
        losses = {name: (history.epochs(steps), values) for name, (steps, values) in curves.items()}
        return self.epoch_figures() | {"losses": charts.learning_curves(losses, "loss", None)}

    def epoch_figures(self) -> dict[str, Figure]:
        return {"samples": images.image_grid(self.made(self.seeded_noise(64, 0)), "samples of the generator")}
