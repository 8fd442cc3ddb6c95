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

from runner.errors import UserError


class Sharded(ModelParallelStrategy):
    """Shares out the net for the steps of a training; to evaluate and to write, every process has all of it.

    Lightning's own `fsdp` refuses a CPU, and neither writes nor evaluates with a net outside its forward pass.
    """

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)
        self.task: Any = None  # whose net is shared out
        self.whole: nn.Module | None = None
        self.shared: nn.Module | None = None

    def setup_environment(self) -> None:
        self._data_parallel_size, self._tensor_parallel_size = self.num_nodes * self.num_processes, 1
        super().setup_environment()

    def share(self, task: Any) -> None:
        """Replace the net of an objective by a copy that is gathered for each step; its `blocks`, if any, one by one.

        Raises:
            UserError: the net computes outside its forward pass.
        """
        if hasattr(task.net, "read"):
            raise UserError(
                f"trainer=sharded shares out nets that are called; {type(task.net).__name__} reads on from batch to "
                "batch: type trainer.strategy=ddp"
            )
        warnings.filterwarnings("ignore", "FSDP2-wrapped module")  # of keys and values, which nobody changes in place
        self.task, self.whole, self.shared = task, task.net, copy.deepcopy(task.net)
        mesh = self.device_mesh["data_parallel"]
        for block in getattr(self.shared, "blocks", ()):
            fully_shard(block, mesh=mesh)
        fully_shard(self.shared, mesh=mesh)
        task.net = self.shared

    @torch.no_grad()
    def gather(self) -> None:
        """Let the objective have the whole net, with the weights as they are now."""
        assert self.whole is not None and self.shared is not None
        for mine, share in zip(self.whole.parameters(), self.shared.parameters(), strict=True):
            mine.copy_(share.full_tensor() if isinstance(share, DTensor) else share)
        for buffer, other in zip(self.whole.buffers(), self.shared.buffers(), strict=True):
            buffer.copy_(other)
        self.whole.train(self.shared.training)
        self.task.net = self.whole

    def on_validation_start(self) -> None:
        if self.shared is not None:
            self.gather()

    def on_validation_end(self) -> None:
        if self.shared is not None:
            self.task.net = self.shared

    def on_train_end(self) -> None:
        self.gather()
        self.shared = None

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        if self.is_global_zero:
            self.checkpoint_io.save_checkpoint(checkpoint, filepath, storage_options)
