"""A tiny task and a small made-up batch from a configuration alone: what the contracts are tried on.

The facts a model reads (`${data.vocab_size}` and so on) are cut down, the model itself by the line `# tiny:` of its
YAML; the objective draws a batch that has them, and no dataset is read. So a new model, of this package or of a folder
outside, is covered by its YAML.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.build import COMMON, build
from runner.config.catalog import Catalog, alternatives, needed
from runner.config.catalog import folders as choice_folders
from runner.config.compose import compose
from runner.optim.build import optimizer_builder
from runner.tasks.base import Task

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


def compose_tiny(overrides: Iterable[str], folders: Iterable[str | Path] = ()) -> DictConfig:
    """Compose a run as the command line does, with the sizes of its data cut down.

    Args:
        overrides: what one would type, for example ["model=textcnn"].
        folders: folders with choices of one's own, as `--config-dir`.
    """
    overrides = list(overrides)
    catalog = Catalog(choice_folders(folders))
    typed = [override.removeprefix("model=") for override in overrides if override.startswith("model=")]
    model = typed[-1] if typed else catalog.default("model")
    cfg = compose([*(catalog.tiny(model) if model else []), *overrides], folders)
    read = facts_read(cfg)
    with open_dict(cfg):
        for fact, size in SMALLER.items():
            known = fact in cfg.data and not OmegaConf.is_interpolation(cfg.data, fact)
            if fact in read or fact in cfg.data:
                cfg.data[fact] = min(size, cfg.data[fact] or size) if known else size
        for fact, usual in USUAL.items():
            if fact in read and (fact not in cfg.data or OmegaConf.is_interpolation(cfg.data, fact)):
                cfg.data[fact] = usual
    return cfg


def facts_read(cfg: DictConfig) -> set[str]:
    """Names of the data's facts that the model and its task read."""
    nodes: Any = OmegaConf.to_container(cfg, resolve=False)
    there = alternatives(nodes["model"]) & set(nodes["data"])
    return needed(nodes["model"], "data") | needed(nodes["task"], "data") | there


def tiny(cfg: DictConfig, seed: int = 1) -> tuple[Task, Any]:
    """Build the task and its net, with weights drawn from `seed`, and a batch that fits the data's facts.

    The batch is None where the objective cannot be tried without its data.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        task: Task = build(cfg, "task", leave_out=COMMON, net=build(cfg, "model"), _recursive_=False)
    task.equip(optimizer=optimizer_builder(OmegaConf.create({"_target_": "torch.optim.Adam", "lr": LEARNING_RATE})))
    return task, task.example(cfg.data, facts_read(cfg), ROWS, torch.Generator().manual_seed(0))
