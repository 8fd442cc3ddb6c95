"""Building the optimizer a configuration names."""

import inspect
from collections.abc import Callable

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig


def optimizer_builder(optim: DictConfig, precision: str | int | None = None) -> Callable:
    """Return a function from parameters to the optimizer of the node `optim`.

    Where torch has a fused implementation (one kernel for all parameters, several times quicker on small nets) it is used,
    unless the node says otherwise or 16-bit loss scaling needs the plain one for clipping.
    """
    takes = inspect.signature(get_object(optim._target_)).parameters
    chosen = {"fused", "foreach", "capturable", "differentiable"} & set(optim)
    fused = {"fused": True} if "fused" in takes and not chosen and "16-mixed" != precision else {}
    return instantiate(optim, _partial_=True, **fused, _convert_="all")
