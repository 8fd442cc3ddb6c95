"""Batch normalisation of vectors, Ioffe and Szegedy 2015 (arXiv:1502.03167), that a batch of one row does not stop."""

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """Each unit of x (B, D), less its mean over the batch and over its deviation.

    A single row has no deviation: it is normalised by the running mean and variance, as in prediction. PyTorch's own
    layer refuses it, and the last batch of an epoch can be one.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == 1:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)
