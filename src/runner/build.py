"""From a configuration to objects: the data, the objective with its net, augmentation and penalties."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.augment import Augmentation
from runner.config.catalog import NOTES
from runner.config.instances import instance
from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.optim.build import optimizer_builder
from runner.tasks.base import Task
from runner.text.vectors import Vectors

COMMON = ("monitor", "mode")  # settings of the node `task` that no objective's constructor takes


def build(cfg: DictConfig, key: str, leave_out: Sequence[str] = (), **arguments: Any) -> Any:
    """Return what the node `key` describes, without the keys that its constructor does not take."""
    node = copy.deepcopy(cfg[key])
    with open_dict(node):
        for name in (*NOTES, *leave_out):
            node.pop(name, None)
    return instance(node, key, **arguments)


def build_data(cfg: DictConfig) -> DataModule:
    """Return the data module that the configuration names; nothing is read yet."""
    data: DataModule = build(cfg, "data")
    data.seed = cfg.seed
    return data


def build_task(cfg: DictConfig) -> Task:
    """Return the objective with its net and with what every objective gets: optimizer, schedule, monitor ..."""
    task: Task = build(cfg, "task", leave_out=COMMON, net=build(cfg, "model"), _recursive_=False)
    task.equip(
        optimizer=optimizer_builder(cfg.optim, cfg.trainer.get("precision")),
        schedule=instance(cfg.schedule, "schedule", _partial_=True),
        augment=build_augment(cfg),
        regularise=build_regularise(cfg),
        **{key: cfg.task[key] for key in COMMON if key in cfg.task},
    )
    return task


def build_augment(cfg: DictConfig) -> Augmentation | None:
    """Return what changes the training batches, None if nothing does."""
    nodes = cfg.get("augment") or OmegaConf.create({})
    steps = {str(name): build(nodes, str(name)) for name, node in nodes.items() if node is not None}
    return Augmentation(steps) if steps else None


def build_regularise(cfg: DictConfig) -> Any:
    """Return the penalties and limits on the weights, None if there are none."""
    if cfg.get("regularise") is None:
        return None
    regularise = build(cfg, "regularise", _recursive_=False)
    return None if regularise.changes_nothing else regularise


def start_vectors(cfg: DictConfig, task: Task, data: DataModule) -> dict[str, float]:
    """Start the net with the word vectors of the configuration; return the share of words that have one."""
    coverage = give_vectors(task.net, build(cfg, "vectors") if cfg.get("vectors") else None, data)
    return {} if coverage is None else {"vector_coverage": coverage}


def give_vectors(net: Any, vectors: Vectors | None, data: DataModule) -> float | None:
    """Start a net with the vectors of the configuration; return the share of the vocabulary that has one.

    Raises:
        UserError: the net cannot use vectors, or needs them and there are none; or the data are not words.
    """
    name = type(net).__name__
    if vectors is None:
        if getattr(net, "needs_vectors", False):
            raise UserError(f"{name} with these settings needs word vectors: type vectors=glove, or vectors=file")
        return None
    vocabulary = getattr(data.inputs, "vocabulary", None)
    if not hasattr(net, "load_vectors") or vocabulary is None:
        raise UserError(f"{name} on this data cannot use word vectors: leave vectors= out")
    found = vectors.find(vocabulary.tokens)
    try:
        net.load_vectors(torch.from_numpy(found.matrix))
    except ValueError as error:
        raise UserError(f"vectors: {error}") from None
    return found.coverage
