"""A judge of made images: a small classifier, trained on the training split within seconds, says what they show.

Sources: the score: Salimans et al. 2016, arXiv:1606.03498, section 4 (there with the Inception network); the distance:
Heusel et al. 2017, arXiv:1706.08500, section 4.

Shape letters: N images, K classes, F features.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.datamodules.parts.batches import Loader, Split
from runner.models.cnn import CNN

STEPS, ROWS = 800, 64  # optimizer steps, and images of each
RATE = 0.005  # learning rate of the first step; it falls in a straight line to 0
LEAST = 0.1  # of its fair share of the images: from then on a class is covered


class Verdict(NamedTuple):
    """What the judge says of images.

    Args:
        probabilities: of the classes, (N, K).
        features: what its last hidden layer makes of them, (N, F).
    """

    probabilities: Tensor
    features: Tensor


class ImageJudge:
    """A trained classifier.

    Args:
        split: images and classes to learn from.
        image_shape: channels, height, width of an image.
        num_classes: number of classes K.
        device: where it works.
    """

    def __init__(self, split: Split, image_shape: tuple[int, ...], num_classes: int, device: torch.device):
        self.image_shape = image_shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = CNN(image_shape, num_classes, [16, 32], 3, 64, dropout=0.0, batch_norm=True).to(device)
            optimizer = torch.optim.Adam(self.net.parameters(), lr=RATE)
            falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS)
            loader, step = Loader(split, ROWS, shuffle=True), 0
            while step < STEPS:
                loader.set_epoch(loader.epoch + 1)
                for images, labels in loader:
                    loss = F.cross_entropy(self.net(self.shaped(images.to(device))), labels.to(device))
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    falling.step()
                    step += 1
                    if step == STEPS:
                        break
        self.net.eval()
        self.features: list[Tensor] = []
        self.net.output.register_forward_pre_hook(lambda layer, inputs: self.features.append(inputs[0]))

    def shaped(self, images: Tensor) -> Tensor:
        """Images or rows of pixels as (N, C, H, W)."""
        return images.reshape(-1, *self.image_shape)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Verdict:
        """Judge images (N, C, H, W)."""
        self.features.clear()
        logits = [self.net(some) for some in self.shaped(images).split(256)]
        return Verdict(torch.cat(logits).softmax(dim=1).cpu(), torch.cat(self.features).cpu())


def classifier_score(probabilities: Tensor) -> float:
    """1 .. K: high where each image shows one class clearly and all classes occur equally often; of (N, K)."""
    usual = probabilities.mean(dim=0)
    divergence = torch.xlogy(probabilities, probabilities) - torch.xlogy(probabilities, usual)
    return float(divergence.sum(dim=1).mean().exp())


def class_coverage(probabilities: Tensor) -> int:
    """How many classes are the likeliest of at least a tenth of their fair share of the images; of (N, K)."""
    rows, classes = probabilities.shape
    counts = probabilities.argmax(dim=1).bincount(minlength=classes)
    return int((counts >= LEAST * rows / classes).sum())


def frechet_distance(ones: Tensor, others: Tensor) -> float:
    """The squared distance of two normal distributions with the means and covariances of features (N, F), (M, F)."""
    ones, others = ones.double(), others.double()
    means = (ones.mean(dim=0) - others.mean(dim=0)).square().sum()
    one, other = torch.cov(ones.T), torch.cov(others.T)
    values, vectors = torch.linalg.eigh(one)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    between = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    return max(float(means + one.trace() + other.trace() - 2 * between), 0.0)


def judged(
    net: nn.Module, noise: Tensor, judge: ImageJudge, real: tuple[Tensor, Tensor], seen: Tensor
) -> dict[str, float]:
    """Metrics of the images that a generator makes of noise.

    Args:
        net: noise (N, Z) to images.
        noise: (N, Z).
        judge: the classifier.
        real: images of the test split and their classes.
        seen: as many images of the training split, for comparison.
    """
    with torch.inference_mode():
        made = judge(torch.cat([net(some) for some in noise.split(256)]))
    test, train = judge(real[0]), judge(seen)
    return {
        "classifier_score": classifier_score(made.probabilities),
        "classifier_score_real": classifier_score(test.probabilities),
        "class_coverage": class_coverage(made.probabilities),
        "frechet_distance": frechet_distance(made.features, test.features),
        "frechet_distance_real": frechet_distance(train.features, test.features),
        "judge_accuracy": float(np.mean((test.probabilities.argmax(dim=1) == real[1].cpu()).numpy())),
    }
