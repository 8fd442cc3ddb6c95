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


@torch.inference_mode()
def said_by(task: Task, data: DataModule, split: str, name: str) -> np.ndarray:
    """Return a vector for each row of a split from what a module says of it, (N, E).

    Of a text that is the mean over its tokens, of an image or signal the mean over places.

    Raises:
        UserError: there is no such module, it is not called, or it does not say one thing for each row.
    """
    module, found = module_of(task.net, name), []
    for rows in chunks_of(data.raw(split)):
        said: list[Tensor] = []
        inputs = task.encoded(rows, data)
        hook = module.register_forward_hook(lambda _, given, output, said=said: said.append(tensor_of(output)))
        try:
            task.net(*inputs)
        finally:
            hook.remove()
        if len(said) != 1 or said[0].ndim < 2 or len(said[0]) != len(rows):
            shape = f" of shape {tuple(said[0].shape)}" if said else ""
            raise UserError(
                f"{name} is called {len(said)} times for {len(rows)} rows{shape}: it says no vector of each"
            )
        found.append(pooled(said[0], inputs[0], isinstance(module, CHANNELS_FIRST)).float().cpu().numpy())
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
