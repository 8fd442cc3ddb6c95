"""A trained model with all it needs to be used: `model/` in a run folder.

config.yaml (resolved), preprocessing.json (vocabulary, scaler, class names) and the weights, none of which runs code
when it is loaded.
"""

import json
import re
from pathlib import Path
from pickle import UnpicklingError

from omegaconf import DictConfig, OmegaConf

from runner.build import build_data, build_task
from runner.config import safety
from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.tasks.base import Task


def save_bundle(folder: Path, cfg: DictConfig, task: Task, data: DataModule) -> Path:
    """Write `model/` into the run folder and return its path."""
    bundle = folder / "model"
    bundle.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(cfg, bundle / "config.yaml", resolve=True)
    preprocessing = {"digest": data.digest, "state": data.state()}
    (bundle / "preprocessing.json").write_text(json.dumps(preprocessing), encoding="utf-8")
    task.save_weights(bundle)
    return bundle


def load_bundle(bundle: Path) -> tuple[Task, DataModule, DictConfig]:
    """Return (task with its weights, data that can encode raw rows, configuration).

    The folder may come from anybody: its configuration names only what `runner.config.safety` lets it, its weights
    are read without running any code.

    Raises:
        UserError: there is no model, or it wants to run what is not allowed.
    """
    if not (bundle / "config.yaml").exists():
        raise UserError(f"{bundle} holds no trained model: a run has one once it has finished")
    cfg = OmegaConf.load(bundle / "config.yaml")
    assert isinstance(cfg, DictConfig), "a configuration is a mapping"
    OmegaConf.resolve(cfg)
    safety.guard(cfg)
    try:
        data, task = build_data(cfg), build_task(cfg)
    except TypeError as error:
        if not re.search("unexpected keyword argument|required .*argument", str(error)):
            raise
        raise UserError(
            f"{bundle} does not fit this version of runner or of your own classes ({error}). Use the version "
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


def preprocessing(bundle: Path) -> dict:
    """What the model was trained with: the digest of its data and the state of the encoding."""
    return json.loads((bundle / "preprocessing.json").read_text(encoding="utf-8"))
