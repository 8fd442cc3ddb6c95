"""Starting from the weights of another run (`init_from=RUN_ID|FOLDER`), and keeping some unchanged (`freeze=[...]`), or
unchanged until an epoch (`unfreeze={PATTERN:EPOCH}`).

Weights are taken by name and shape, so the body of a net fits another one with a different head. They take
precedence over `vectors=`, which then fill only what the other run lacks. A resumed run takes its weights from its
checkpoint.

A frozen parameter gets no gradient and is not given to any optimizer. A frozen normalisation layer keeps its running
statistics too; other frozen layers, such as dropout, work as in training.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from runner.errors import UserError, closest
from runner.tracking.artifacts import model_folder
from runner.tracking.find import find_run

if TYPE_CHECKING:
    from torch import Tensor, nn

    from runner.datamodules.base import DataModule
    from runner.tasks.base import Task

log = logging.getLogger(__name__)
WEIGHTS = "weights.safetensors"
SHOWN = 40  # lines of the table


def lasting_name(which: str, uri: str | None, outputs: Path, one_of_many: bool) -> str:
    """Return what `init_from=` names in a form that stays valid: the id of a run, or the path of a folder.

    Args:
        which: a folder with a model, a run folder, the id of a run or its beginning, its name, or last.
        uri: tracking URI; None for the database in `outputs`.
        outputs: the folder with the runs and their database.
        one_of_many: whether this run is a job of a sweep, in which "last" would mean another run for each job.

    Raises:
        UserError: there is no such run.
    """
    if folder_with_weights(which):
        return str(Path(which).resolve())
    if which == "last" and one_of_many:
        raise UserError("init_from=last is another run for every job of a sweep: type the id of the run")
    return find_run(uri, outputs, which, status="FINISHED" if which == "last" else None).id


def folder_with_weights(which: str) -> Path | None:
    """Return the folder with a model, or that of a run folder; None if `which` is neither."""
    return next((place for place in (Path(which), Path(which) / "model") if (place / WEIGHTS).is_file()), None)


def warm_start(which: str, task: "Task", data: "DataModule", uri: str | None, outputs: Path) -> None:
    """Load the weights of another run into the nets of a task, and log which.

    Args:
        which: a folder with a model, a run folder, or a run (see `lasting_name`).
        task: the objective with its net.
        data: what the net is trained on.
        uri: tracking URI; None for the database in `outputs`.
        outputs: the folder with the runs and their database.

    Raises:
        UserError: there is no model, or none of its weights fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not task.by_gradient:
        raise UserError(f"init_from: {type(task).__name__} fits without training steps, so it cannot use weights")
    folder = folder_with_weights(which) or model_folder(find_run(uri, outputs, which), uri, outputs)
    try:
        found = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise UserError(f"{folder / WEIGHTS} is damaged, or not a file of weights: {error}") from None
    for net in task.trained():
        rows = take(net, found)
        if not any(row[-1] == "taken" for row in rows):
            raise UserError(
                f"init_from={which}: no weight of that run has the name and the shape of one of "
                f"{type(net).__name__}.\n{drawn(rows)}"
            )
    log.info("init_from: weights of %s\n%s", which, drawn(rows))
    there = folder / "preprocessing.json"
    here = json.loads(json.dumps(data.state()))
    if there.exists() and as_numbers(json.loads(there.read_text(encoding="utf-8"))["state"]) != as_numbers(here):
        log.warning(
            "init_from: that run encodes its inputs in another way (words, scale): weights of the first layer that "
            "were taken belong to its encoding, not to this one"
        )


def as_numbers(state: Mapping) -> Any:
    """What says which numbers stand for what: the vocabulary of texts, or all that is stored of other inputs."""
    inputs = state.get("inputs") or {}
    return inputs.get("vocabulary", inputs)


def take(net: "nn.Module", found: Mapping[str, "Tensor"]) -> list[tuple[str, str, str, str]]:
    """Load weights into a net where name and shape agree; return (name, shape here, shape there, result)."""
    own = net.state_dict()
    taken = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
    net.load_state_dict(taken, strict=False)
    shared = {own[name].data_ptr() for name in taken}  # a weight may have two names, and is stored under one
    rows = []
    for name in {**own, **found}:
        here, there = (str(tuple(side[name].shape)) if name in side else "" for side in (own, found))
        was_taken = name in own and own[name].data_ptr() in shared
        rows.append((name, here, there, "taken" if was_taken else "new" if name in own else "unused"))
    return rows


def drawn(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """A table of the weights, those that were not taken first."""
    table = Table("weight", "here", "there", "")
    for row in sorted(rows, key=lambda row: row[-1] == "taken")[:SHOWN]:
        table.add_row(*row)
    counts = {what: sum(row[-1] == what for row in rows) for what in ("taken", "new", "unused")}
    table.caption = ", ".join(f"{count} {what}" for what, count in counts.items())
    text = StringIO()
    Console(file=text, width=110).print(table)
    return text.getvalue().rstrip()


def freeze(task: "Task", patterns: Iterable[str]) -> list["nn.Module"]:
    """Freeze the parameters whose names match a pattern; return the normalisation layers among them.

    Args:
        task: the objective with its net, before its optimizer is built.
        patterns: names with * and ?, such as embedding.*; the name of a layer means all its parameters.

    Raises:
        UserError: a pattern matches nothing.
    """
    if not patterns:
        return []
    if not task.by_gradient:
        raise UserError(f"freeze: {type(task).__name__} fits without training steps, so nothing can be frozen")
    layers = []
    for net in task.trained():
        parameters = dict(net.named_parameters(remove_duplicate=False))
        for pattern in patterns:
            for name in matching(net, parameters, pattern, f"freeze=[{pattern}]"):
                parameters[name].requires_grad_(False)
        layers += [layer for layer, own in normalising(net) if not any(p.requires_grad for p in own)]
    return layers


def matching(net: "nn.Module", names: Iterable[str], pattern: str, setting: str) -> list[str]:
    """Return the names of parameters that a pattern means.

    Raises:
        UserError: there are none.
    """
    found = [name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")]
    if not found:
        raise UserError(
            f"{setting}: no parameter of {type(net).__name__} has such a name."
            f"{closest(pattern, names)} Its parameters: {', '.join(names)}"
        )
    return found


def normalising(net: "nn.Module") -> list[tuple["nn.Module", list["Tensor"]]]:
    """Return the layers of a net that keep running statistics, each with its own parameters, if it has any."""
    layers = [layer for layer in net.modules() if getattr(layer, "running_mean", None) is not None]
    found: list[tuple[nn.Module, list[Tensor]]] = [(layer, list(layer.parameters(recurse=False))) for layer in layers]
    return [each for each in found if each[1]]


def first_epochs(task: "Task", patterns: Mapping[str, int] | None) -> dict["Tensor", int]:
    """Return the epoch, counted from 1, in which each parameter that is named by a pattern begins to learn.

    Args:
        task: the objective with its net; what `freeze` has frozen stays so.
        patterns: as in `freeze`, each with an epoch; where several match a parameter, the last one counts. None = none.

    Raises:
        UserError: a pattern matches nothing, or nothing would learn in the first epoch.
    """
    if not patterns:
        return {}
    if not task.by_gradient:
        raise UserError(f"unfreeze: {type(task).__name__} fits without training steps, so nothing can be frozen")
    found: dict[Tensor, int] = {}
    for net in task.trained():
        parameters = dict(net.named_parameters(remove_duplicate=False))
        for pattern, epoch in patterns.items():
            for name in matching(net, parameters, pattern, f"unfreeze={{{pattern}:{epoch}}}"):
                found[parameters[name]] = epoch
        learning = [each for each in parameters.values() if each.requires_grad]
        if all(found.get(each, 1) > 1 for each in learning):
            raise UserError(f"unfreeze: nothing of {type(net).__name__} would learn in the first epoch")
    return {parameter: epoch for parameter, epoch in found.items() if parameter.requires_grad}
