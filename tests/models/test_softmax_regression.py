"""Softmax regression is one product."""

import numpy as np
import torch
from torch import nn
from values import numbers

from runner.models.softmax_regression import SoftmaxRegression


def test_softmax_regression_is_one_product() -> None:
    net = SoftmaxRegression(in_features=4, num_classes=3)
    assert net(torch.randn(2, 1, 2, 2)).eq(0).all()
    nn.init.normal_(net.output.weight)
    x = torch.randn(2, 1, 2, 2)
    np.testing.assert_allclose(numbers(net(x)), numbers(x).reshape(2, 4) @ numbers(net.output.weight).T, atol=1e-6)
