"""`predict task=NAME`: what a model is asked, under the usual names of such questions.

Most names stand for what the objective of a run answers anyway: it says so in `asked_as`. `features` asks any net for
the vector that it makes of an example.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.errors import UserError, closest
from runner.tasks.base import Task
from runner.text.vocabulary import PAD

Asked = Callable[[list[dict], DataModule], list[dict]]  # from raw rows to answers

FEATURES = "features"
USUAL = (
    "classify",
    "fill_mask",
    "generate",
    "ner",
    "question_answering",
    "summarize",
    "translate",
    "zero_shot",
    FEATURES,
)


def fitting(task: Task) -> list[str]:
    """Return the names that a trained objective can be asked by."""
    return [*task.asked_as, *([FEATURES] if place_of_features(task.net) else [])]


def pipeline(name: str, task: Task) -> Asked:
    """Return what answers raw rows.

    Raises:
        UserError: there is no such name, or this objective does not answer it.
    """
    can = fitting(task)
    if name in can:
        return (lambda rows, data: features(rows, task, data)) if name == FEATURES else task.answer
    if name not in USUAL:
        known = [*USUAL, *(each for each in can if each not in USUAL)]
        raise UserError(f"task={name} is not one of {', '.join(known)}.{closest(name, known)}")
    raise UserError(
        f"task={name} does not fit this run: its objective is {type(task).__name__}. It can be asked for: "
        f"{', '.join(can) or 'nothing by such a name'}"
    )


@torch.inference_mode()
def features(rows: list[dict], task: Task, data: DataModule) -> list[dict]:
    """Return for each row what the net makes of it: feature_1, feature_2 ...

    That is what the net says itself (`embed`), or what its encoder says, or what its output layer is given; of a text
    the mean over its tokens.
    """
    inputs, seen = task.encoded(rows, data), []
    place = place_of_features(task.net)
    if place == "embed":
        found = task.net.embed(*inputs)
    else:
        layer: nn.Module = getattr(task.net, place)
        take = (lambda given, said: said) if place == "encoder" else (lambda given, said: given[0])
        hook = layer.register_forward_hook(lambda _, given, said: seen.append(take(given, said)))
        try:
            task.net(*inputs)
        finally:
            hook.remove()
        found = getattr(seen[0], "last_hidden_state", seen[0])
    if not isinstance(found, Tensor) or found.ndim not in (2, 3) or len(found) != len(rows):
        raise UserError(f"task=features: {type(task.net).__name__} does not make one vector of an example")
    vectors = found if found.ndim == 2 else averaged(found, inputs[0])  # (B, E)
    return [{f"feature_{number}": value for number, value in enumerate(row, 1)} for row in vectors.float().tolist()]


def place_of_features(net: Any) -> str:
    """Return the part of a net that makes the features; empty if there is none."""
    if not isinstance(net, nn.Module):
        return ""
    if hasattr(net, "embed"):
        return "embed"
    return next((name for name in ("encoder", "output") if isinstance(getattr(net, name, None), nn.Module)), "")


def averaged(states: Tensor, inputs: Tensor) -> Tensor:
    """The mean (B, E) of states (B, T, E), without those of padding if the inputs are tokens (B, T)."""
    if inputs.dtype != torch.int64 or inputs.shape != states.shape[:2]:
        return states.mean(dim=1)
    mask = (inputs != PAD).unsqueeze(2)  # (B, T, 1)
    return (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
