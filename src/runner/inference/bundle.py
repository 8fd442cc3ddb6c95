"""A trained model with all that is needed to use it: `model/` in a run folder.

config.yaml, preprocessing.json (vocabulary, scaler, class names) and the weights, none of which runs code
when it is loaded.
"""

import copy
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.build import build_data, build_task
from runner.config import safety
from runner.config.nodes import recordable
from runner.config.signatures import signature
from runner.datamodules.base import DataModule
from runner.errors import UserError, closest
from runner.tasks.base import FILES, Task


def save_bundle(folder: Path, cfg: DictConfig, task: Task, data: DataModule) -> Path:
    """Write `model/` into the run folder and return its path."""
    bundle = folder / "model"
    bundle.mkdir(parents=True, exist_ok=True)
    cfg = recordable(copy.deepcopy(cfg))
    for place, source in model_folders(cfg):
        travels = Path(FILES) / place.removeprefix("model.")
        shutil.copytree(source, bundle / travels, dirs_exist_ok=True)
        OmegaConf.update(cfg, place, str(travels))
    with open_dict(cfg):
        cfg.pop("tracking", None)  # where the run is recorded does not matter to who uses its model
    OmegaConf.save(cfg, bundle / "config.yaml")
    preprocessing = {"digest": data.digest, "state": data.state()}
    (bundle / "preprocessing.json").write_text(json.dumps(preprocessing), encoding="utf-8")
    task.save_weights(bundle)
    return bundle


def load_bundle(bundle: Path, changed: Mapping[str, Any] | None = None) -> tuple[Task, DataModule, DictConfig]:
    """Return (task with its weights, data that can encode raw rows, configuration).

    The folder may come from anyone: its configuration can name only what `runner.config.safety` lets it, its weights
    are read without running any code.

    Args:
        bundle: the folder `model/` of a run.
        changed: settings of the objective, from its `at_use`, that replace those it was trained with.

    Raises:
        UserError: there is no model, it names code that is not allowed, or a setting cannot be changed.
    """
    cfg = configuration(bundle)
    for place, folder in model_folders(cfg):
        if not (bundle / folder).resolve().is_relative_to(bundle.resolve()):
            raise UserError(f"{bundle} is refused: {place}={folder} is outside the model")
        OmegaConf.update(cfg, place, str(bundle / folder))
    change(cfg.task, changed or {})
    try:
        data, task = build_data(cfg), build_task(cfg)
    except UserError as error:
        if not re.search("unexpected keyword argument|required .*argument", str(error.__cause__)):
            raise
        raise UserError(
            f"{bundle} does not fit this version of runner or your own classes ({error.__cause__}). Use the version "
            "it was trained with (the run's tag version.runner in MLflow), or train it again"
        ) from error
    data.load_state(preprocessing(bundle)["state"])
    task.connect(data)
    try:
        task.load_weights(bundle)
    except UnpicklingError as error:
        raise UserError(f"{bundle} is refused: its weights hold objects that could run code when read") from error
    task.eval()
    return task, data, cfg


def configuration(bundle: Path) -> DictConfig:
    """Return the configuration of a trained model, which names only what is allowed.

    Raises:
        UserError: there is no model, or it names code that is not allowed.
    """
    if not (bundle / "config.yaml").exists():
        raise UserError(f"{bundle} has no trained model: a run has one after it has finished")
    cfg = OmegaConf.load(bundle / "config.yaml")
    assert isinstance(cfg, DictConfig), "a configuration is a mapping"
    cfg.pop("tracking", None)
    recordable(cfg)
    safety.guard(cfg)
    return cfg


def settings_at_use(bundle: Path) -> tuple[str, ...]:
    """Return the settings of the objective that may be changed when the model is used."""
    return getattr(get_class(configuration(bundle).task._target_), "at_use", ())


def change(node: DictConfig, changed: Mapping[str, Any]) -> None:
    """Change settings of an objective that may be changed when the model is used.

    Args:
        node: its configuration, already checked for safety.
        changed: the new values by name.
    """
    objective = get_class(node._target_)
    allowed: tuple[str, ...] = getattr(objective, "at_use", ())
    for key, value in changed.items():
        if key not in allowed:
            names = ", ".join(f"task.{name}=" for name in allowed) or "nothing"
            raise UserError(
                f"task.{key}= cannot be changed in a trained model.{closest(key, allowed)} "
                f"{objective.__name__} lets you change: {names}"
            )
        node[key] = value
    implied = objective.implied(changed, node) if changed else {}  # type: ignore[attr-defined]
    node.update(implied)


def preprocessing(bundle: Path) -> dict:
    """What the model was trained with: the digest of its data and the state of the encoding."""
    return json.loads((bundle / "preprocessing.json").read_text(encoding="utf-8"))


def model_folders(cfg: DictConfig) -> list[tuple[str, str]]:
    """Return (place in the configuration, folder) of every argument of the net that is annotated `ModelFolder`.

    Such a folder, a pretrained model for example, travels with the model; its place in the configuration of a bundle is
    relative to the bundle.
    """
    found = signature(cfg.model._target_)
    names = (
        [each.name for each in found.parameters.values() if "ModelFolder" in (each.annotation or "")] if found else []
    )
    return [(f"model.{name}", cfg.model[name]) for name in names if cfg.model.get(name)]
