"""Steps on tables: only the rows of the batch, their gradients summed, none too far."""

import pytest
import torch
from torch import nn

from runner.optim.row_sgd import RowSGD


def table(sparse: bool) -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(6, 4, sparse=sparse)


@pytest.mark.parametrize("sparse", [True, False])
def test_a_step_is_that_of_gradient_descent_but_no_longer_than_allowed(sparse):
    ours = table(sparse)
    before, weights = ours.weight.detach().clone(), torch.tensor([0.1, 0.1, 3.0])
    (ours(torch.tensor([1, 1, 4])).sum(dim=1) * weights).sum().backward()  # row 1 occurs twice
    RowSGD(ours.parameters(), lr=0.5, max_step=1.0).step()
    change = ours.weight.detach() - before
    torch.testing.assert_close(change[1], torch.full((4,), -0.5 * 0.2))
    torch.testing.assert_close(change[4], torch.full((4,), -0.5))  # -1.5 each would be of length 3
    assert not change[[0, 2, 3, 5]].any()


@pytest.mark.parametrize("wrong", [{"lr": 0}, {"max_step": 0}])
def test_values_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="received"):
        RowSGD(table(True).parameters(), **wrong)
