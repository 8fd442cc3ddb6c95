"""Weights are shared out for the steps and gathered for all else; two processes: see test_processes.py."""

from collections.abc import Iterator

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from runner.models.gpt import GPT
from runner.training.sharding import Sharded


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_all_weights_are_shared_out_and_gathered(alone: None) -> None:
    strategy, task = Sharded(), LightningModule()
    whole = task.net = GPT(20, 8, embed_dim=16, num_layers=2)
    strategy._lightning_module = task
    strategy._device_mesh = init_device_mesh("cpu", (1, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    strategy.share(task)
    assert task.net is not whole and all(isinstance(weight, DTensor) for weight in task.net.parameters())
    tokens = torch.randint(1, 20, (2, 8))
    before = whole(tokens)
    torch.testing.assert_close(task.net(tokens), before)
    task.net(tokens).square().sum().backward()
    torch.optim.SGD(task.net.parameters(), lr=0.1).step()
    trained = task.net(tokens)
    strategy.on_validation_start()
    assert task.net is whole and not torch.allclose(whole(tokens), before)
    torch.testing.assert_close(whole(tokens), trained)
    strategy.on_validation_end()
    assert task.net is not whole
    strategy.on_train_end()
    assert task.net is whole
