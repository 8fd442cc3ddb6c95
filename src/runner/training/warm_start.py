"""Starting from the weights of another run, and parameters that stay as they are."""

import logging
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from omegaconf import DictConfig
from safetensors.torch import load_file
from torch import nn

from runner.errors import UserError, closest
from runner.tracking.find import find_run

log = logging.getLogger(__name__)


def warm_start(cfg: DictConfig, net: nn.Module, outputs: Path) -> None:
    """Take the weights of the run `cfg.init_from` and freeze the parameters that `cfg.freeze` names."""
    if cfg.get("init_from") and not cfg.get("resume"):  # a resumed run has its own weights
        take_weights(net, weights_of(cfg, outputs), cfg.init_from)
    if cfg.get("freeze"):
        freeze(net, list(cfg.freeze))


def weights_of(cfg: DictConfig, outputs: Path) -> Path:
    """Return the file of weights of a run, of a run's folder or of its folder `model/`."""
    place = Path(cfg.init_from)
    folder = place if place.is_dir() else find_run(cfg.tracking.uri, outputs, cfg.init_from, status="FINISHED").folder
    for file in (folder / "model" / "weights.safetensors", folder / "weights.safetensors") if folder else ():
        if file.is_file():
            return file
    raise UserError(f"init_from={cfg.init_from}: there are no weights in {folder}")


@torch.no_grad()
def take_weights(net: nn.Module, file: Path, name: str) -> None:
    """Copy the weights that fit by name and shape, and say which came, which are new and which are not used.

    Raises:
        UserError: none fits.
    """
    theirs, ours = load_file(file), net.state_dict()
    taken = [key for key in ours if key in theirs and theirs[key].shape == ours[key].shape]
    if not taken:
        raise UserError(f"init_from={name}: none of its weights fits {type(net).__name__} by name and shape")
    for key in taken:
        ours[key].copy_(theirs[key])
    new, unused = [key for key in ours if key not in taken], [key for key in theirs if key not in taken]
    log.info("Weights taken from %s: %s", file, ", ".join(taken))
    log.info("New weights: %s; not used: %s", ", ".join(new) or "none", ", ".join(unused) or "none")


def freeze(net: nn.Module, patterns: list[str]) -> None:
    """Let the optimizer leave out the parameters whose names fit one of the patterns, such as "embedding.*".

    Raises:
        UserError: a pattern fits no parameter.
    """
    names = [name for name, _ in net.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UserError(
                f"freeze={pattern} fits no parameter.{closest(pattern, names)} There are: {', '.join(names)}"
            )
    for name, parameter in net.named_parameters():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)
