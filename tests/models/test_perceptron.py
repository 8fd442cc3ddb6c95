"""The perceptron: its weights, and the prices of breakfast."""

import pytest
import torch
from small_runs import result

from runner.datamodules.breakfast import Breakfast
from runner.models.perceptron import Perceptron
from runner.tasks.losses import half_squared_error


def test_perceptron_lists_its_weights_where_somebody_reads_them():
    assert Perceptron(2, 1, start=2.0).fitted() == {"w0": 2.0, "w1": 2.0, "b": 0.0}
    assert Perceptron(784, 1).fitted() == {} and Perceptron(2, 3).fitted() == {}


def test_prices_of_breakfast_meal_after_meal(tmp_path, no_figures):
    found = result(["experiment=ch02_breakfast_online"], tmp_path)
    assert [found[f"fit/w{dish}"] for dish in range(3)] == pytest.approx([149.99999, 50.00005, 99.99998], abs=3e-5)


def test_prices_of_breakfast_all_at_once():
    """The loop of the experiment, without the run around it; the experiment itself is a row of benchmarks/book.yaml."""
    data = Breakfast(batch_size=5)
    data.setup()
    net = Perceptron(3, 1, bias=False, start=50.0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.005)
    (meals, bills), *_ = data.train_dataloader()
    for _ in range(500):
        optimizer.zero_grad()
        half_squared_error(net(meals), bills).backward()
        optimizer.step()
    assert list(net.fitted().values()) == pytest.approx([149.99855, 50.00249, 99.99872], abs=1e-4)
    assert list(net.fitted()) == ["w0", "w1", "w2"]
