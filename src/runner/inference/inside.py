"""What a module inside a trained net says about the rows of its own data.

Shape letters: B batch, N rows, T time, E numbers of a module's answer, C channels, H height, W width.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.errors import UserError, closest
from runner.inference.answered import chunks_of
from runner.inference.pipelines import averaged
from runner.tasks.base import Task

CHANNELS_FIRST = (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d, nn.AvgPool1d)


def module_of(net: Any, name: str) -> nn.Module:
    """Return a module of a net by its dotted name.

    Raises:
        UserError: it has no such module.
    """
    known = {each: module for each, module in net.named_modules() if each} if isinstance(net, nn.Module) else {}
    if name in known:
        return known[name]
    kind = type(net).__name__
    raise UserError(f"{kind} has no module {name}.{closest(name, known)} There are: {', '.join(known) or 'none'}")


def output_layer(net: Any) -> nn.Module:
    """Return the last linear layer of a net.

    Raises:
        UserError: it has none.
    """
    layers = [module for module in net.modules() if isinstance(module, nn.Linear)] if isinstance(net, nn.Module) else []
    if not layers:
        raise UserError(f"{type(net).__name__} has no linear layer, whose input would be a vector of an example")
    return layers[-1]


@torch.inference_mode()
def said_by(task: Task, data: DataModule, rows: list[dict], module: nn.Module, given: bool = False) -> np.ndarray:
    """Return a vector for each raw row from what a module says of it, (N, E).

    Of a text that is the mean over its tokens, of an image or signal the mean over places.

    Args:
        task: the trained model.
        data: that it was trained on.
        rows: raw rows.
        module: a part of its net.
        given: whether what the module is given counts, not what it says.

    Raises:
        UserError: the module is not called once, or it does not say one thing for each row.
    """
    found = []
    for some in chunks_of(rows):
        said: list[Tensor] = []
        inputs = task.encoded(some, data)

        def look(_: nn.Module, taken: Any, output: Any, said: list[Tensor] = said) -> None:
            said.append(tensor_of(taken if given else output))

        hook = module.register_forward_hook(look)
        try:
            task.net(*inputs)
        finally:
            hook.remove()
        if len(said) != 1 or said[0].ndim < 2 or len(said[0]) != len(some):
            shape = f", with a tensor of shape {tuple(said[0].shape)}" if said else ""
            kind = type(module).__name__
            raise UserError(f"{kind} is called {len(said)} times for {len(some)} rows{shape}: no vector of each row")
        found.append(pooled(said[0], inputs[0], isinstance(module, CHANNELS_FIRST) and not given).float().cpu().numpy())
    return np.concatenate(found)


def tensor_of(output: Any) -> Tensor:
    """Return the tensor of what a module says: the last states of a transformer, the first of several tensors."""
    output = getattr(output, "last_hidden_state", output)
    return tensor_of(output[0]) if isinstance(output, tuple | list) else output


def pooled(said: Tensor, inputs: Tensor, channels_first: bool) -> Tensor:
    """Return vectors (B, E) of (B, E), of (B, T, E), or of (B, C, T) or (B, C, H, W), where the channels come first."""
    if said.ndim == 2:
        return said
    return said.flatten(2).mean(dim=2) if channels_first or said.ndim > 3 else averaged(said, inputs)
