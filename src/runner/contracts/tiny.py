"""A tiny task and a small made-up batch from a configuration alone: what the contracts are checked with.

The facts a model reads (`${data.vocab_size}` and so on) are cut down, the model itself by the line `# tiny:` of its
YAML; the objective draws a batch that has them, and no dataset is read. So the YAML of a new model, in this
package or in another folder, is all that the contracts need.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.build import COMMON, build, build_data
from runner.config.catalog import Catalog, alternatives, needed
from runner.config.catalog import folders as choice_folders
from runner.config.compose import compose
from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import Codec, Columns, ImageInputs, NumberInputs, SequenceInputs, TextInputs
from runner.datamodules.parts.mixed import CategoryInputs
from runner.datamodules.parts.targets import Classes, LabelSets, Numbers, Targets
from runner.optim.build import optimizer_builder
from runner.tasks.base import Task
from runner.tasks.examples import LENGTH, MIXED
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import SPECIALS, Vocabulary

ROWS = 6  # examples of the made-up batch
LEARNING_RATE = 0.01  # of the tiny task's optimizer: Adam, or what the model brings along

# Facts of the data (see conf/data): sizes that are cut down to these, and values where the data has none.
SMALLER = {
    "vocab_size": 20,
    "src_vocab_size": 20,
    "tgt_vocab_size": 20,
    "max_len": 12,
    "context_len": 12,
    "num_steps": 12,
}
USUAL = {
    "num_classes": 3,
    "num_labels": 3,
    "num_targets": 2,
    "in_features": 64,
    "image_shape": [1, 8, 8],
    "num_channels": 3,
    "num_steps": 12,
    "category_sizes": [3, 4],
}


def compose_tiny(overrides: Iterable[str], folders: Iterable[str | Path] = ()) -> DictConfig:
    """Compose a run as the command line does, with the sizes of its data cut down.

    Args:
        overrides: what one would type, for example ["model=textcnn"].
        folders: folders with choices of the user, as `--config-dir`.
    """
    overrides = list(overrides)
    catalog = Catalog(choice_folders(folders))
    typed = dict(override.partition("=")[::2] for override in overrides)
    picked = catalog.override("experiment", typed["experiment"], "model") if "experiment" in typed else None
    model = typed.get("model") or picked or catalog.default("model")
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
        if not (model and catalog.override("model", model, "optim")):
            cfg.optim = {"_target_": "torch.optim.Adam"}
        cfg.optim.lr = LEARNING_RATE
    return cfg


def facts_read(cfg: DictConfig) -> set[str]:
    """Names of the data's facts that the model and its task read."""
    nodes: Any = OmegaConf.to_container(cfg, resolve=False)
    there = alternatives(nodes["model"]) & set(nodes["data"])
    return needed(nodes["model"], "data") | needed(nodes["task"], "data") | there


def tiny(cfg: DictConfig, seed: int = 1) -> tuple[Task, Any]:
    """Build the task and its net, with weights drawn from `seed`, and a batch that fits the data's facts.

    The batch is None if the objective cannot be tried without its data.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        task: Task = build(cfg, "task", leave_out=COMMON, net=build(cfg, "model"), _recursive_=False)
    task.equip(optimizer=optimizer_builder(cfg.optim))
    return task, task.example(cfg.data, facts_read(cfg), ROWS, torch.Generator().manual_seed(0))


def tiny_data(cfg: DictConfig) -> DataModule:
    """The data of a tiny task, unread; its codecs are those of `DataModule.small`, or follow from the facts."""
    data = build_data(cfg)
    data.inputs, data.targets = data.small(cfg.data) or codecs(cfg.data, facts_read(cfg))
    return data


def codecs(facts: Mapping[str, Any], read: set[str]) -> tuple[Codec, Targets]:
    """What encodes raw rows of such facts, and their targets."""
    inputs: Codec
    if len(kinds := MIXED & read) > 1 and all(facts.get(kind) for kind in kinds):
        sizes = facts["category_sizes"]
        values = [[f"category {number}" for number in range(1, size)] for size in sizes]
        parts = [
            codecs(facts, {"in_features"})[0],
            CategoryInputs([f"column {number}" for number in range(len(sizes))], values),
            codecs(facts, {"vocab_size"})[0],
        ]
        inputs = Columns({str(place): part for place, part in enumerate(parts)})
    elif {"vocab_size", "max_len"} & read:  # a pretrained model has a vocabulary of its own
        words = [chr(ord("a") + number) for number in range(facts["vocab_size"] - len(SPECIALS))]
        pipeline = Pipeline(TokenSettings("word"), facts.get("max_len"), sentence_len=facts.get("sentence_len"))
        inputs = TextInputs("text", pipeline, Vocabulary([*SPECIALS, *words]))
    elif "image_shape" in read:
        inputs = ImageInputs("image", facts["image_shape"])
    elif {"num_steps", "num_channels"} & read:
        channels = facts.get("num_channels", 1)
        inputs = SequenceInputs("signals", np.zeros(channels), np.ones(channels), facts.get("num_steps") or LENGTH)
    else:
        width = facts["in_features"]
        inputs = NumberInputs([f"x{number}" for number in range(width)], np.zeros(width), np.ones(width))
    if "num_targets" in read:
        width = facts["num_targets"]
        return inputs, Numbers([f"y{number}" for number in range(width)], np.zeros(width), np.ones(width))
    if "num_labels" in read:
        return inputs, LabelSets([f"label {number}" for number in range(facts["num_labels"])])
    return inputs, Classes([f"class {number}" for number in range(facts.get("num_classes") or 2)])
