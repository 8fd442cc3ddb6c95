"""Batch normalisation: PyTorch's own, but for a batch of one row."""

import pytest
import torch
from torch import nn

from runner.models.layers.batch_norm import BatchNorm

ROWS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_it_is_that_of_pytorch() -> None:
    ours, theirs = BatchNorm(4), nn.BatchNorm1d(4)
    torch.testing.assert_close(ours(ROWS), theirs(ROWS))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("affine", [True, False])
def test_one_row_is_normalised_by_the_running_figures(affine: bool) -> None:
    norm = BatchNorm(4, affine=affine)
    norm(ROWS)
    before = norm.running_mean.clone()
    one = norm(ROWS[:1])
    torch.testing.assert_close(norm.running_mean, before)
    torch.testing.assert_close(one, norm.eval()(ROWS[:1]))
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(4)(ROWS[:1])
