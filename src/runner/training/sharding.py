"""Fully sharded training: each process keeps its share of the weights, of their gradients and of the optimizer's state.

Source: Zhao et al., PyTorch FSDP, 2023, arXiv:2304.11277, in the form of torch's `fully_shard`.
"""

import copy
import warnings
from typing import Any

import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor


class Sharded(ModelParallelStrategy):
    """Shares out the net for the steps of a training; to evaluate and to write, every process has all of it.

    Lightning's own `fsdp` refuses a CPU, and neither writes nor evaluates with a net outside its forward pass.
    """

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)
        self.whole: nn.Module | None = None  # while `task.net` is the one whose weights are shared out
        self.shared: nn.Module | None = None

    def setup_environment(self) -> None:
        self._data_parallel_size, self._tensor_parallel_size = self.num_nodes * self.num_processes, 1
        super().setup_environment()

    def share(self, task: Any) -> None:
        """Replace the net of an objective by a copy whose blocks, and the rest of it, are gathered one at a time."""
        warnings.filterwarnings("ignore", "FSDP2-wrapped module")  # of keys and values, which nobody changes in place
        self.whole, self.shared = task.net, copy.deepcopy(task.net)
        mesh = self.device_mesh["data_parallel"]
        for blocks in [module for module in self.shared.modules() if isinstance(module, nn.ModuleList)]:
            for block in blocks:
                fully_shard(block, mesh=mesh)
        fully_shard(self.shared, mesh=mesh)
        task.net = self.shared

    @torch.no_grad()
    def gather(self) -> None:
        """Let the objective have the whole net, with the weights as they are now."""
        assert self.whole is not None and self.shared is not None
        for mine, share in zip(self.whole.parameters(), self.shared.parameters(), strict=True):
            mine.copy_(share.full_tensor() if isinstance(share, DTensor) else share)
        for mine, other in zip(self.whole.buffers(), self.shared.buffers(), strict=True):
            mine.copy_(other)
        self.whole.train(self.shared.training)
        self.lightning_module.net = self.whole

    def on_validation_start(self) -> None:
        if self.shared is not None:
            self.gather()

    def on_validation_end(self) -> None:
        if self.shared is not None:
            self.lightning_module.net = self.shared

    def on_train_end(self) -> None:
        self.gather()
        self.shared = None

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        if self.is_global_zero:
            self.checkpoint_io.save_checkpoint(checkpoint, filepath, storage_options)
