"""Several optimizers on one problem: copies of one net, the same batches, one optimizer each."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from safetensors.torch import load_model, save_model
from torch import nn

from runner.errors import UserError
from runner.figures import charts
from runner.optim.build import optimizer_builder
from runner.tasks.base import Task
from runner.tasks.means import Scalars, value_of


class OptimizerComparison(Task):
    """Cross-entropy and accuracy of one net under each optimizer, from the same weights and on the same batches.

    Args:
        net: returns logits (B, K); each optimizer trains a copy of it, so it should not be random (no dropout).
        num_outputs: number of classes K.
        optimizers: {name: node of an optimizer}, each with its own learning rate.
    """

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        optimizers: dict[str, Any],
    ):
        super().__init__(net)
        if len(optimizers) < 2:
            raise UserError(
                "task.optimizers has to name at least two to compare; one is added by +optim@task.optimizers.mine=adam"
            )
        self.automatic_optimization = False
        self.builders = {name: optimizer_builder(OmegaConf.create(node)) for name, node in optimizers.items()}
        self.nets = nn.ModuleDict({name: copy.deepcopy(net) for name in optimizers})

    def trained(self) -> list[nn.Module]:
        return list(self.nets.values())

    def configure_optimizers(self):
        made = [build(self.nets[name]) for name, build in self.builders.items()]
        return [self.with_schedule(optimizer) for optimizer in made]

    def step(self, batch: Any) -> Scalars:
        return {f"loss_{name}": F.cross_entropy(net(*self.inputs(batch)), batch[-1]) for name, net in self.nets.items()}

    def evaluation_step(self, batch: Any) -> Scalars:
        found: Scalars = {}
        for name, net in self.nets.items():
            logits, target = net(*self.inputs(batch)), batch[-1]  # (B, K), (B,)
            found[f"loss_{name}"] = F.cross_entropy(logits, target)
            found[f"accuracy_{name}"] = (logits.argmax(dim=1) == target).float().mean()
        return found

    def training_step(self, batch: Any, batch_idx: int) -> None:
        losses = self.step(batch)
        for loss, optimizer in zip(losses.values(), self.all_optimizers(), strict=True):
            optimizer.zero_grad()
            self.manual_backward(value_of(loss))
            self.clip(optimizer)
            optimizer.step()
        for schedule in self.schedules():
            schedule.step()
        self.training_means.add(losses, self.rows(batch))

    def save_weights(self, folder: Path) -> None:
        save_model(self.nets, str(folder / "weights.safetensors"))

    def load_weights(self, folder: Path) -> None:
        load_model(self.nets, str(folder / "weights.safetensors"))

    def figures(self) -> dict[str, Figure]:
        """The loss of each optimizer over the epochs, in training and on validation."""
        history: Any = self.trainer.logger  # of training, see `runner.training.history`
        if history is None:
            return {}
        curves = {
            split: {name: np.array(history.curve(f"{split}/loss_{name}")[1]) for name in self.nets}
            for split in ("train", "val")
        }
        return {"optimizers": charts.optimizer_curves(curves)}
