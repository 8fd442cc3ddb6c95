"""Weights are shared out for the steps and gathered for all else; two processes: see test_processes.py."""

from collections.abc import Iterator

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from runner.errors import UserError
from runner.models.char_rnn import CharRNN
from runner.models.gpt import GPT
from runner.models.transformer import Transformer
from runner.training.sharding import Sharded


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_nets_that_read_on_are_refused() -> None:
    task = LightningModule()
    task.net = CharRNN(20)
    with pytest.raises(UserError, match=r"CharRNN reads on from batch to batch: type trainer\.strategy=ddp"):
        Sharded().share(task)


TOKENS = torch.randint(1, 20, (2, 8), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("net", "inputs"),
    [
        (GPT(20, 8, embed_dim=16, num_layers=2), (TOKENS,)),
        (Transformer(20, 20, embed_dim=16, num_layers=1, dropout=0.0), (TOKENS, TOKENS)),
    ],
    ids=["gpt", "transformer"],
)
def test_all_weights_are_shared_out_and_gathered(net: nn.Module, inputs: tuple, alone: None) -> None:
    strategy, task = Sharded(), LightningModule()
    whole = task.net = net
    strategy._device_mesh = init_device_mesh("cpu", (1, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    strategy.share(task)
    assert task.net is not whole and all(isinstance(weight, DTensor) for weight in task.net.parameters())
    before = whole(*inputs)
    torch.testing.assert_close(task.net(*inputs), before)
    task.net(*inputs).square().sum().backward()
    torch.optim.SGD(task.net.parameters(), lr=0.1).step()
    trained = task.net(*inputs)
    strategy.on_validation_start()
    assert task.net is whole and not torch.allclose(whole(*inputs), before)
    torch.testing.assert_close(whole(*inputs), trained)
    strategy.on_validation_end()
    assert task.net is not whole
    strategy.on_train_end()
    assert task.net is whole
