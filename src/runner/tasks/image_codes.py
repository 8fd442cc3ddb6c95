"""What objectives of codes of images share: the codes of a split, how good they are, and what is drawn of them.

The net has `codes(images) -> (B, Z)`, `images(codes) -> (B, *image_shape)` with pixels in 0 .. 1, and `latent_dim`; one
that is `conditional` is told the classes too, `images(codes, labels)`.

Source of the distance from the prior: Gretton et al., A kernel two-sample test, JMLR 13, 2012, lemma 6.

Shape letters: B batch, N examples of a split, Z latent.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import CatMetric

from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.figures import charts, images
from runner.tasks.base import Question, Task

NEIGHBOURS = 10
COMPARED = 2000  # codes that are compared with as many draws from the prior
SHOWN = 16  # images beside their reconstructions
STEPS = 10  # images from one to another
MOST_SAMPLES = 10_000


class ImageCodes(Task):
    """The codes of a split and its first images.

    Args:
        net: see above.
        image_shape: channels, height, width of an image.
        sample_seed: of the samples drawn for `predict sample=`.
    """

    at_use: tuple[str, ...] = ("sample_seed",)
    has_prior = True  # whether codes drawn from N(0, 1) mean anything to the decoder

    def __init__(self, net: Any, image_shape: list[int], sample_seed: int = 0):
        super().__init__(net)
        self.image_shape = tuple(image_shape)
        self.sample_seed = sample_seed
        self.codes, self.labels = CatMetric(), CatMetric()
        self.seen: list[tuple[Tensor, ...]] = []  # the first batch of the split

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        return tuple(batch) if self.net.conditional else (batch[0],)

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        known = (torch.arange(rows) % self.net.decoder.num_classes,) if self.net.conditional else ()
        return (*super().export_inputs(data, rows, length)[:1], *known)

    # Measuring.

    def collect(self, batch: Any, codes: Tensor) -> None:
        """Keep the codes (B, Z) of a validation or test batch."""
        self.codes.update(codes)
        self.labels.update(batch[-1])
        if not self.seen:
            self.seen = [tuple(part[:SHOWN] for part in batch)]

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.codes.reset()
        self.labels.reset()
        self.seen = []

    def evaluation_metrics(self) -> dict[str, float]:
        codes, labels = self.collected()
        found = super().evaluation_metrics() | {"mmd": distance_from_prior(codes)}
        return found | ({"knn_accuracy": neighbours_agree(codes, labels)} if len(codes) > 1 else {})

    def collected(self) -> tuple[Tensor, Tensor]:
        """The codes (N, Z) and classes (N,) of the split."""
        codes, labels = (torch.as_tensor(kept.compute()).cpu() for kept in (self.codes, self.labels))
        return codes.reshape(-1, self.net.latent_dim), labels.reshape(-1)

    # Answers.

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {f"code_{number}": "double" for number in range(self.net.latent_dim)}

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: its code."""
        codes = self.net.codes(*self.encoded(rows, data))
        return [dict(zip(self.answer_columns(data), row, strict=True)) for row in codes.tolist()]

    def questions(self) -> dict[str, Question]:
        asked: dict[str, Question] = {"interpolate": self.interpolate}
        return asked | ({"sample": self.sample} if self.has_prior else {})

    @torch.inference_mode()
    def sample(self, text: str, data: DataModule) -> list[dict]:
        """Draw images: sample=64."""
        draw = torch.Generator().manual_seed(self.sample_seed)
        codes = torch.randn(number_of_samples(text), self.net.latent_dim, generator=draw)
        return written(self.decoded(codes), "samples")

    @torch.inference_mode()
    def interpolate(self, text: str, data: DataModule) -> list[dict]:
        """Go from one image to another through the codes between: interpolate="a.png|b.png", or seeds, "1|2"."""
        ends = [self.code_of(part, data) for part in two_ends(text)]
        share = torch.linspace(0, 1, STEPS)[:, None]
        return written(self.decoded(ends[0].cpu() * (1 - share) + ends[1].cpu() * share), "interpolation")

    def code_of(self, text: str, data: DataModule) -> Tensor:
        """The code (1, Z) of an image file, or one drawn from the prior with a seed."""
        if text.isdecimal() and self.has_prior:
            return torch.randn(1, self.net.latent_dim, generator=torch.Generator().manual_seed(int(text)))
        if not Path(text).is_file():
            seeds = ", or whole numbers as seeds" if self.has_prior else ""
            raise UserError(f'interpolate="a.png|b.png" takes two image files{seeds}; there is no file {text!r}')
        return self.net.codes(*self.encoded([{next(iter(data.columns)): images.grey_values(Path(text))}], data))

    # Figures.

    @torch.inference_mode()
    def decoded(self, codes: Tensor, labels: Tensor | None = None) -> np.ndarray:
        """Codes (N, Z) as images (N, *image_shape); of a conditional net the classes follow one another."""
        known: tuple[Tensor, ...] = ()
        if self.net.conditional:
            known = (torch.arange(len(codes)) % self.net.decoder.num_classes if labels is None else labels,)
        made = self.net.images(codes.to(self.device), *(each.to(self.device) for each in known))
        return made.reshape(-1, *self.image_shape).cpu().numpy()

    def shown_inputs(self, seen: Tensor) -> Tensor:
        """What the net was given in place of these images."""
        return seen

    @torch.inference_mode()
    def figures(self) -> dict[str, Figure]:
        codes, labels = self.collected()
        drawn = self.epoch_figures()
        drawn["latent_space"] = charts.latent_space(codes.numpy(), labels.numpy())
        drawn["prior_and_codes"] = charts.prior_and_codes(codes.numpy())
        if self.net.latent_dim == 2:
            # Equal steps of probability, so that the grid covers prior or codes evenly.
            share = torch.linspace(0.05, 0.95, 15)
            across, up = [torch.special.ndtri(share)] * 2 if self.has_prior else codes.quantile(share, dim=0).T
            grid = torch.cartesian_prod(up.flip(0), across).flip(1)  # (225, 2), top row first
            known = torch.zeros(len(grid), dtype=torch.int64)  # of a conditional net one class
            drawn["manifold"] = images.image_grid(self.decoded(grid, known), "decoded codes over the plane")
        return drawn

    @torch.inference_mode()
    def epoch_figures(self) -> dict[str, Figure]:
        """Reconstructions beside inputs, and images decoded from the prior."""
        drawn = {}
        if self.seen:
            seen = self.seen[0]
            given = self.shown_inputs(seen[0])
            rows = [seen[0], *([given] if given is not seen[0] else [])]
            recovered = torch.from_numpy(self.decoded(self.net.codes(given), seen[-1]))
            pairs = torch.stack([*(row.reshape(-1, *self.image_shape).cpu() for row in rows), recovered], dim=1)
            names = ["inputs", *(["what the net was given"] if len(rows) > 1 else []), "reconstructions"]
            drawn["reconstructions"] = images.image_columns(pairs.numpy(), names)
        if self.has_prior:
            codes = torch.randn(100, self.net.latent_dim, generator=torch.Generator().manual_seed(0))
            drawn["samples"] = images.image_grid(self.decoded(codes), "samples from the prior")
        return drawn


def neighbours_agree(codes: Tensor, labels: Tensor) -> float:
    """The share of codes (N, Z) whose class is that of most of their ten nearest neighbours among the others."""
    classes, right = int(labels.max()) + 1, 0
    labels = labels.long()
    for rows in torch.arange(len(codes)).split(1000):
        distance = torch.cdist(codes[rows], codes)
        distance[torch.arange(len(rows)), rows] = torch.inf  # a code is not its own neighbour
        nearest = labels[distance.topk(min(NEIGHBOURS, len(codes) - 1), largest=False).indices]  # (rows, 10)
        votes = torch.zeros(len(rows), classes).scatter_add_(1, nearest, torch.ones(nearest.shape))
        right += int((votes.argmax(dim=1) == labels[rows]).sum())
    return right / len(codes)


def distance_from_prior(codes: Tensor) -> float:
    """The squared maximum mean discrepancy between codes (N, Z) and as many draws from N(0, 1), 0 if they are alike.

    Gaussian kernels of three widths; the estimate is without bias, so it may be a little below 0.
    """
    codes = codes[:COMPARED].double()
    prior = torch.randn(codes.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = len(codes)
    if rows < 2:
        return 0.0
    among = [(similarity(each, each).sum() - rows) / (rows * (rows - 1)) for each in (codes, prior)]
    return float(among[0] + among[1] - 2 * similarity(codes, prior).mean())


def similarity(ones: Tensor, others: Tensor) -> Tensor:
    """The mean of three Gaussian kernels between codes (N, Z) and (M, Z): (N, M)."""
    squared = torch.cdist(ones, others).square() / ones.shape[1]
    return torch.stack([torch.exp(-squared / (2 * width)) for width in (0.25, 1.0, 4.0)]).mean(dim=0)


def number_of_samples(text: str) -> int:
    """How many samples are asked for."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SAMPLES:
        raise UserError(f"sample= takes a number from 1 to {MOST_SAMPLES}, received {text!r}")
    return int(text)


def two_ends(text: str) -> list[str]:
    """Between what is to be interpolated."""
    ends = [part.strip() for part in text.split("|")]
    if len(ends) != 2 or not all(ends):
        raise UserError(f'interpolate="a|b" takes two ends with | between them, received {text!r}')
    return ends


def written(made: np.ndarray, name: str) -> list[dict]:
    """Write images (N, C, H, W) into the current folder, as a figure and as an array, and say where they are."""
    np.save(f"{name}.npy", made)
    images.image_grid(made, f"{len(made)} {name}", across=len(made) if name == "interpolation" else None).savefig(
        f"{name}.png"
    )
    return [{"images": len(made), "figure": f"{name}.png", "array": f"{name}.npy"}]
