"""MLP against matrix products, its initialisers against their papers, and exclusive or."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from values import numbers

from runner.models.layers.batch_norm import BatchNorm
from runner.models.mlp import ACTIVATIONS, INITIALISERS, MLP
from runner.models.perceptron import Perceptron

FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_is_matrix_products(activation: str) -> None:
    net = MLP(in_features=6, num_outputs=2, hidden_dims=[5, 4], activation=activation)
    x = torch.randn(3, 2, 3)
    first, second, last = (layer for layer in net.layers if isinstance(layer, nn.Linear))
    hidden = numbers(x).reshape(3, 6)
    for layer in (first, second):
        hidden = FORMULAS[activation](hidden @ numbers(layer.weight).T + numbers(layer.bias))
    expected = hidden @ numbers(last.weight).T + numbers(last.bias)
    np.testing.assert_allclose(numbers(net(x)), expected, atol=1e-6)


def test_mlp_without_hidden_layers_is_linear() -> None:
    net = MLP(in_features=4, num_outputs=3, hidden_dims=[])
    assert [type(layer) for layer in net.layers] == [nn.Linear]


def test_mlp_normalises_then_activates_then_drops() -> None:
    net = MLP(in_features=4, num_outputs=3, hidden_dims=[5], dropout=0.5, batch_norm=True)
    assert [type(layer) for layer in net.layers] == [
        nn.Linear,
        BatchNorm,
        nn.ReLU,
        nn.Dropout,
        nn.Linear,
    ]


FAN_IN, FAN_OUT = 300, 200


VARIANCES = {
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
}


@pytest.mark.parametrize("init", INITIALISERS)
def test_initialisers_have_the_variance_of_their_papers(init: str) -> None:
    first = MLP(FAN_IN, 1, hidden_dims=[FAN_OUT], init=init).requires_grad_(False).layers[0]
    assert not first.bias.any()
    if init == "orthogonal":
        torch.testing.assert_close(first.weight @ first.weight.T, torch.eye(FAN_OUT), atol=1e-5, rtol=0)
        return
    assert float(first.weight.var()) == pytest.approx(VARIANCES[init], rel=0.03)
    if init.endswith("uniform"):
        assert float(first.weight.abs().max()) <= math.sqrt(3 * VARIANCES[init])
    else:  # a normal distribution goes beyond any such bound
        assert float(first.weight.abs().max()) > math.sqrt(3 * VARIANCES[init])


CORNERS = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])


XOR = torch.tensor([0, 1, 1, 0])


def test_the_books_weights_solve_exclusive_or():
    net = MLP(2, 2, [2])
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.ones(2, 2))
        net.layers[0].bias.copy_(torch.tensor([0.0, -1]))
        hidden = torch.relu(net.layers[0](CORNERS))
        assert hidden.tolist() == [[0, 0], [1, 0], [1, 0], [2, 1]]
        # One output y, "true" above 1/2, as the difference of two logits.
        net.layers[2].weight.copy_(torch.tensor([[-1.0, 2], [1, -2]]))
        net.layers[2].bias.copy_(torch.tensor([0.5, -0.5]))
        assert torch.equal(net(CORNERS).argmax(1), XOR)


def solved(nets: list[torch.nn.Module]) -> list[int]:
    """Corners that are right after the training of experiment=ch02_xor, for each net; all train as one stack."""
    weights, _ = stack_module_state(nets)
    answers = vmap(lambda own: functional_call(nets[0], own, (CORNERS,)))
    optimizer = torch.optim.Adam(weights.values(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = F.cross_entropy(answers(weights).flatten(0, 1), XOR.repeat(len(nets)), reduction="sum") / 4
        loss.backward()
        optimizer.step()
    return (answers(weights).argmax(dim=2) == XOR).sum(dim=1).tolist()


def test_eight_units_learn_exclusive_or_and_a_perceptron_does_not():
    nets, perceptrons = [], []
    for seed in range(1, 31):
        torch.manual_seed(seed)
        nets.append(MLP(2, 2, [8], activation="leaky_relu"))
        perceptrons.append(Perceptron(2, 2))
    assert solved(nets) == [4] * 30
    assert max(solved(perceptrons)) <= 3
