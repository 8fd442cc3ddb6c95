"""Building the optimizer a configuration names."""

import inspect
from collections.abc import Callable, Iterable

import torch
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig
from torch import Tensor

FUSED_ON_CPU_ONLY = (torch.optim.Adagrad,)  # in older releases of torch; on a GPU the plain one serves all


def optimizer_builder(optim: DictConfig, precision: str | int | None = None) -> Callable:
    """Return a function from parameters to the optimizer of the node `optim`.

    Where torch has a fused implementation (one kernel for all parameters, several times quicker on small nets) it is
    used, unless the node says otherwise or 16-bit loss scaling needs the plain one for clipping.
    """
    optimizer = get_object(optim._target_)
    takes = inspect.signature(optimizer).parameters
    chosen = {"fused", "foreach", "capturable", "differentiable"} & set(optim)
    plain = instantiate(optim, _partial_=True, _convert_="all")
    if "fused" not in takes or chosen or precision == "16-mixed":
        return plain

    def build(params: Iterable[Tensor]) -> torch.optim.Optimizer:
        params = list(params)
        on_cpu = all(parameter.device.type == "cpu" for parameter in params if isinstance(parameter, Tensor))
        return plain(params, fused=True) if on_cpu or optimizer not in FUSED_ON_CPU_ONLY else plain(params)

    return build
