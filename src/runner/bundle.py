"""A trained model with all it needs to be used: `model/` in a run folder.

config.yaml (resolved), preprocessing.json (vocabulary, scaler, class names) and the weights, none of which runs code
when it is loaded.
"""

import json
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from runner import safety
from runner.augment import Augmentation
from runner.errors import UserError
from runner.optim import optimizer_builder
from runner.tasks.base import Task
from runner.vectors import give_vectors


def build(cfg: DictConfig, key: str, **arguments: Any) -> Any:
    """Instantiate the node `key`; what its constructor refuses is the user's to mend, other errors are shown."""
    try:
        return instantiate(cfg[key], _convert_="all", **arguments)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError) or not isinstance(cause, ValueError):
            raise cause from None
        raise UserError(f"{key} ({cfg[key]._target_}): {cause}") from cause


def build_data(cfg: DictConfig) -> Any:
    """Return the data module that the configuration names; nothing is read yet."""
    data = build(cfg, "data")
    data.seed = cfg.seed
    return data


def build_task(cfg: DictConfig) -> Any:
    """Return the objective with its net and the ways to build its optimizer and schedule."""
    task = build(
        cfg,
        "task",
        net=build(cfg, "model"),
        optimizer=optimizer_builder(cfg.optim, cfg.trainer.get("precision")),
        schedule=instantiate(cfg.schedule, _partial_=True),
        _recursive_=False,
    )
    task.augment, task.regularise = build_augment(cfg), build_regularise(cfg)
    for name in ("augment", "regularise"):
        if getattr(task, name) is not None and type(task).fit is not Task.fit:
            raise UserError(f"{name}: {type(task).__name__} fits without training steps, so it has no use for it")
    return task


def build_augment(cfg: DictConfig) -> Augmentation | None:
    """Return what changes the training batches, None if nothing does."""
    nodes = cfg.get("augment") or {}
    steps = {name: build(nodes, name) for name, node in nodes.items() if node is not None}
    return Augmentation(steps) if steps else None


def build_regularise(cfg: DictConfig) -> Any:
    """Return the penalties and limits on the weights, None if there are none."""
    if cfg.get("regularise") is None:
        return None
    regularise = build(cfg, "regularise", _recursive_=False)
    return None if regularise.changes_nothing else regularise


def start_vectors(cfg: DictConfig, task: Any, data: Any) -> dict[str, float]:
    """Let the net begin with the word vectors of the configuration; return the share of the words that have one."""
    coverage = give_vectors(task.net, build(cfg, "vectors") if cfg.get("vectors") else None, data)
    return {} if coverage is None else {"vector_coverage": coverage}


def save_bundle(folder: Path, cfg: DictConfig, task: Any, data: Any) -> Path:
    """Write `model/` into the run folder and return its path."""
    bundle = folder / "model"
    bundle.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(cfg, bundle / "config.yaml", resolve=True)
    preprocessing = {"digest": data.digest, "state": data.state()}
    (bundle / "preprocessing.json").write_text(json.dumps(preprocessing), encoding="utf-8")
    task.save_weights(bundle)
    return bundle


def load_bundle(bundle: Path) -> tuple[Any, Any, DictConfig]:
    """Return (task with its weights, data that can encode raw rows, configuration).

    The folder may come from anybody: its configuration names only what `runner.safety` lets it, its weights are read
    without running any code.

    Raises:
        UserError: there is no model, or it wants to run what is not allowed.
    """
    if not (bundle / "config.yaml").exists():
        raise UserError(f"{bundle} holds no trained model: a run has one once it has finished")
    cfg = OmegaConf.create(OmegaConf.to_container(OmegaConf.load(bundle / "config.yaml"), resolve=True))
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
