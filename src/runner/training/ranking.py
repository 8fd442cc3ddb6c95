"""The best few checkpoints of a run (`callbacks.checkpoint.top_k=3`): which they are, their files, their average.

Beside `best.ckpt` a run folder's `checkpoints/` then holds the weights after each of the best epochs (`epoch-7.ckpt`)
and `ranking.json`, a list with the best first: {"epoch", "step", "score", "metrics"}. The ranking is part of every
checkpoint and the files follow from it, so that writing them again, after a kill, changes nothing.

The average is the mean of the weights, and of other numbers such as the statistics of batch normalisation, over all
epochs of the ranking (Vaswani et al. 2017, section 6.1, took the last five checkpoints).
"""

import json
import math
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch

from runner.errors import UserError
from runner.files.atomic import replacing, write_atomically

RANKING = "ranking.json"
BEST = "best.ckpt"
AVERAGE = "average"
KEPT = ("state_dict", "epoch", "global_step", "about", "pytorch-lightning_version")  # what a file of weights holds


def load_checkpoint(path: Path) -> dict:
    """Return a checkpoint, on the CPU, without running any code that it may contain."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UserError(f"{path} is refused: it holds objects that could run code when read") from error


def ranked(ranking: list[dict], found: dict, mode: Literal["min", "max"], top_k: int) -> list[dict]:
    """Return a ranking with one more epoch, if that is among the best `top_k`.

    Args:
        ranking: the best first.
        found: the epoch; a "score" of None = there is no metric to follow, so the newest is the best.
        mode: whether the smallest or the largest score is the best; of equal ones the earlier.
        top_k: how many are kept; with 1 there is no ranking, since `best.ckpt` is all.
    """
    score = found["score"]
    if top_k < 2 or (score is not None and math.isnan(score)):
        return ranking if top_k > 1 else []
    every = [*(entry for entry in ranking if entry["epoch"] != found["epoch"]), found]
    if score is None:
        every.sort(key=lambda entry: -entry["epoch"])
    else:
        every = [entry for entry in every if entry["score"] is not None]
        every.sort(key=lambda entry: entry["score"] if mode == "min" else -entry["score"])
    return every[:top_k]


def file_of(entry: dict) -> str:
    return f"epoch-{entry['epoch']}.ckpt"


def save_weights_of(checkpoint: dict, path: Path) -> None:
    """Write what evaluation needs of a checkpoint."""
    with replacing(path) as file:
        torch.save({name: checkpoint[name] for name in KEPT if name in checkpoint}, file)


def save_ranked(checkpoint: dict, folder: Path) -> None:
    """Write the weights of a checkpoint whose epoch is in its ranking, and the ranking; remove what fell out of it."""
    ranking = checkpoint.get("ranking", [])
    if not ranking and not (folder / RANKING).exists():
        return
    names = {file_of(entry) for entry in ranking}
    newest = file_of({"epoch": checkpoint["epoch"] + 1})
    if newest in names:
        save_weights_of(checkpoint, folder / newest)
    write_atomically(folder / RANKING, json.dumps(ranking, indent=2) + "\n")
    for path in folder.glob("epoch-*.ckpt"):
        if path.name not in names:
            path.unlink()


def read_ranking(folder: Path) -> list[dict]:
    """Return the ranking in `checkpoints/` of a run; empty if it kept the best checkpoint alone."""
    path = folder / RANKING
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def average(folder: Path, ranking: list[dict]) -> dict[str, Any]:
    """Return a checkpoint with the mean of the weights of all epochs in the ranking, otherwise that of the newest."""
    found = [load_checkpoint(folder / file_of(entry)) for entry in ranking]
    states = [checkpoint["state_dict"] for checkpoint in found]
    newest = max(found, key=lambda checkpoint: checkpoint["global_step"])
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in newest["state_dict"].items()
    }
    return newest | {"state_dict": mean}


def chosen(folder: Path, which: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the weights of a checkpoint of a run, and what was measured with them on the validation split.

    Args:
        folder: `checkpoints/` of the run.
        which: a place in the ranking, 1 = the best; or average.

    Raises:
        UserError: the run has kept no such weights.
    """
    ranking = read_ranking(folder)
    if which == AVERAGE and len(ranking) > 1:
        return average(folder, ranking)["state_dict"], {}
    found = [(folder / file_of(entry), entry["metrics"]) for entry in ranking] or [(folder / BEST, {})]
    kept = {str(place): each for place, each in enumerate(found, start=1) if each[0].is_file()}
    if which not in kept:
        allowed = ", ".join([*kept, *([AVERAGE] if len(ranking) > 1 else [])]) or "nothing"
        raise UserError(
            f"checkpoint={which}: {folder.parent} has kept no such weights. Allowed: {allowed}. A run keeps the best "
            "few if it is trained with callbacks.checkpoint.top_k=3"
        )
    path, metrics = kept[which]
    return load_checkpoint(path)["state_dict"], metrics
