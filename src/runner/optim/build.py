"""Building the optimizer a configuration names, for a whole net or for some of its parameters."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from hydra.utils import get_object
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from runner.config.instances import instance, refusals
from runner.errors import UserError

FUSED_ON_CPU_ONLY = (torch.optim.Adagrad,)  # in older releases of torch; on a GPU the plain one is used

Builder = Callable[[nn.Module | Iterable[Tensor]], Optimizer]


def optimizer_builder(optim: DictConfig, precision: str | int | None = None) -> Builder:
    """Return a function from a net, or from parameters, to the optimizer of the node `optim`.

    Frozen parameters are left out. A net with `parameter_groups()` has the rate of each group multiplied by the
    group's `lr_factor`; parameters that are in none of its groups keep the rate of the node.

    Where torch has a fused implementation (one kernel for all parameters, several times quicker on small nets) it is
    used, unless the node says otherwise or 16-bit loss scaling needs the plain one for clipping.
    """
    optimizer = get_object(optim._target_)
    takes = inspect.signature(optimizer).parameters
    chosen = {"fused", "foreach", "capturable", "differentiable"} & set(optim)
    plain = instance(optim, "optim", _partial_=True)
    may_fuse = "fused" in takes and not chosen and precision != "16-mixed"

    def build(trained: nn.Module | Iterable[Tensor]) -> Optimizer:
        groups = parameter_groups(trained)
        if hasattr(optimizer, "divide"):  # it treats kinds of parameters differently
            groups = optimizer.divide(groups, trained)
        on_cpu = all(parameter.device.type == "cpu" for group in groups for parameter in group["params"])
        fused = {"fused": True} if may_fuse and (on_cpu or optimizer not in FUSED_ON_CPU_ONLY) else {}
        with refusals(optim, "optim"):
            made = plain(groups, **fused)
        for group in made.param_groups:
            if "lr_factor" in group:
                group["lr"] *= group["lr_factor"]
        return made

    return build


def parameter_groups(trained: nn.Module | Iterable[Tensor]) -> list[dict[str, Any]]:
    """Return the groups for an optimizer: {"params", "lr_factor"}, without frozen parameters.

    Raises:
        UserError: nothing is left to train.
    """
    everything = list(trained.parameters() if isinstance(trained, nn.Module) else trained)
    groups = [dict(group) for group in getattr(trained, "parameter_groups", list)()]
    grouped = {parameter for group in groups for parameter in group["params"]}
    groups.append({"params": [parameter for parameter in everything if parameter not in grouped]})
    for group in groups:
        group["params"] = [parameter for parameter in group["params"] if parameter.requires_grad]
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise UserError("there is nothing to train: the net has no parameters, or freeze= names all of them")
    return groups


def learning_rate(optimizer: Optimizer) -> float:
    """Return the learning rate of a group whose `lr_factor` is 1."""
    group = optimizer.param_groups[0]
    return group["lr"] / group.get("lr_factor", 1.0)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of all groups, each multiplied by its `lr_factor`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_factor", 1.0)
