"""Batch normalisation of vectors, Ioffe and Szegedy 2015 (arXiv:1502.03167), that a batch of one row does not stop."""

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """Each unit of x (B, D), less its mean over the batch and over its deviation.

    A single row has no deviation: it is normalised by the running mean and variance, as in prediction. PyTorch's own
    layer refuses it, and the last batch of an epoch can be one.

    Args:
        width: units D.
        eps: added to the variance.
        affine: whether each unit learns a scale and a shift.
    """

    def __init__(self, width: int, eps: float = 1e-5, affine: bool = True):
        super().__init__(width, eps=eps, affine=affine)

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == 1:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)
