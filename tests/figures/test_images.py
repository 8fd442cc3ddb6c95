"""Figures of images."""

import torch

from runner.figures.images import Mistakes, image_figures
from runner.models.cnn import CNN
from runner.models.mlp import MLP


def test_mistakes_of_images_are_shown_and_others_passed_over():
    mistakes = Mistakes()
    mistakes.update((torch.rand(4, 7),), torch.zeros(4), torch.ones(4))
    assert image_figures(MLP(7, 2), mistakes) == {}
    images, target = torch.rand(50, 1, 8, 8), torch.arange(50) % 2
    mistakes.update((images,), torch.zeros(50, dtype=torch.int64), target)
    assert len(mistakes.found) == 25 and all(actual == 1 for _, _, actual in mistakes.found)
    for net in (MLP(64, 2, [5]), CNN([1, 8, 8], 2, [4], 3, 8)):
        assert set(image_figures(net, mistakes, ["no", "yes"])) == {"misclassified", "first_layer_filters"}
    mistakes.reset()
    assert mistakes.shape is None and not mistakes.found
