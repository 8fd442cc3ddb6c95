"""A tiny task and a small made-up batch from a configuration alone: what the contracts are tried on.

The facts a model reads (`${data.vocab_size}` and so on) are cut down, and a batch is drawn that has them; no dataset is
read. So a new model, of this package or of a folder outside, is covered by its YAML.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.build import build
from runner.config.catalog import alternatives, needed
from runner.config.compose import compose
from runner.datamodules.parts.batches import Features, Images, Stream, Texts, Windows
from runner.tasks.base import Task
from runner.tasks.causal_lm import IGNORE
from runner.tasks.estimator import Estimator
from runner.text.vocabulary import PAD

ROWS = 6  # examples of the made-up batch
LEARNING_RATE = 0.01  # of the tiny task's Adam

# Facts of the data (see conf/data): sizes that are cut down to these, and values where the data has none.
SMALLER = {"vocab_size": 20, "max_len": 12, "context_len": 12, "num_steps": 12}
USUAL = {
    "num_classes": 3,
    "num_targets": 2,
    "in_features": 64,
    "image_shape": [1, 8, 8],
    "num_channels": 3,
    "num_steps": 12,
}

Batch = tuple[Any, ...]


def compose_tiny(overrides: Iterable[str], folders: Iterable[str | Path] = ()) -> DictConfig:
    """Compose a run as the command line does, with the sizes of its data cut down.

    Args:
        overrides: what one would type, for example ["model=textcnn"].
        folders: folders with choices of one's own, as `--config-dir`.
    """
    cfg = compose(overrides, folders)
    read = facts_read(cfg)
    with open_dict(cfg):
        for fact, size in SMALLER.items():
            known = fact in cfg.data and not OmegaConf.is_interpolation(cfg.data, fact)
            if fact in read or fact in cfg.data:
                cfg.data[fact] = min(size, cfg.data[fact] or size) if known else size
        for fact, size in USUAL.items():
            if fact in read and (fact not in cfg.data or OmegaConf.is_interpolation(cfg.data, fact)):
                cfg.data[fact] = size
    return cfg


def facts_read(cfg: DictConfig) -> set[str]:
    """Names of the data's facts that the model and its task read."""
    nodes = OmegaConf.to_container(cfg, resolve=False)
    there = alternatives(nodes["model"]) & set(nodes["data"])
    return needed(nodes["model"], "data") | needed(nodes["task"], "data") | there


def tiny(cfg: DictConfig, seed: int = 1) -> tuple[Task, Batch]:
    """Build the task and its net, with weights drawn from `seed`, and a batch that fits the data's facts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build(cfg, "model")
        optimizer = partial(torch.optim.Adam, lr=LEARNING_RATE)
        task = build(cfg, "task", net=net, optimizer=optimizer, _recursive_=False)
    return task, made_up_examples(cfg) if isinstance(task, Estimator) else made_up_batch(cfg)


def made_up_batch(cfg: DictConfig) -> Batch:
    """Inputs and target as the facts describe them: tokens end in padding, other inputs lie in 0 .. 1."""
    facts, read = cfg.data, facts_read(cfg)
    kind: type[NamedTuple] = Texts
    draw = torch.Generator().manual_seed(0)
    if "vocab_size" in read:
        length = facts.get("context_len") or facts.get("max_len") or SMALLER["max_len"]
        stream = torch.randint(2, facts.vocab_size, (ROWS, length + 1), generator=draw)  # (B, T + 1)
        lengths = torch.tensor([max(length >> row, 1) for row in range(ROWS)])  # (B,): T, T/2, T/4 ... 1
        real = torch.arange(length) < lengths[:, None]  # (B, T)
        inputs = torch.where(real, stream[:, :-1], PAD)
        following = torch.where(real, stream[:, 1:], IGNORE)
    else:
        if "image_shape" in read:
            kind, shape = Images, list(facts.image_shape)
        elif {"num_steps", "num_channels"} & read:
            kind, shape = Windows, [facts.get("num_steps") or SMALLER["num_steps"], facts.get("num_channels", 1)]
        elif "in_features" in read:
            kind, shape = Features, [facts.in_features]
        else:
            raise ValueError(
                f"{cfg.model._target_} reads none of vocab_size, image_shape, num_steps, num_channels and in_features "
                "from its data, so no batch can be made up for it. Pass it one of them in its YAML, for example "
                '"in_features: ${data.in_features}".'
            )
        inputs = torch.rand(ROWS, *shape, generator=draw)
    if "context_len" in read:
        return Stream(inputs, following)
    if "num_targets" in read:
        return kind(inputs, torch.randn(ROWS, facts.num_targets, generator=draw))
    return kind(inputs, torch.arange(ROWS) % (facts.get("num_classes") or 2))


def made_up_examples(cfg: DictConfig) -> Batch:
    """Raw examples and targets for an estimator; the targets follow from the examples."""
    facts, read = cfg.data, facts_read(cfg)
    draw = np.random.default_rng(0)
    rows = 60
    classes = np.arange(rows) % facts.get("num_classes", 2)
    if "vocab_size" in read:
        words = np.array(["film", "plot", "actor", "scene", "music"])
        texts = [" ".join([f"word{kind}", *draw.choice(words, size=4)]) for kind in classes]
        return texts, classes
    features = draw.random((rows, facts.in_features))
    if "num_targets" in read:
        return features, features @ draw.normal(size=(facts.in_features, facts.num_targets)) + 1
    features[np.arange(rows), classes % facts.in_features] += 2
    return features, classes
