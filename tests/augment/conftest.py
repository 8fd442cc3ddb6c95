"""Small images and texts to change."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def images() -> torch.Tensor:
    """A bright square in the middle of a dark image, with an extra bright corner."""
    images = torch.zeros(40, 2, 16, 20)
    images[:, :, 5:11, 6:14] = 0.5
    images[:, :, 5:7, 6:9] = 1.0
    return images


@pytest.fixture
def tokens() -> torch.Tensor:
    """Texts of all lengths from none to 12 words, all words different."""
    words = torch.arange(2, 2 + 13 * 12).view(13, 12)
    return torch.where(torch.arange(12) < torch.arange(13)[:, None], words, 0)
