"""Tiny runs with their record in MLflow, trained once for all tests of the verbs that use a run."""

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from small_runs import LIMITS, small

from runner.config.compose import compose
from runner.config.inferred import settle
from runner.tracking.find import find_run
from runner.tracking.tracker import keep_tracker
from runner.training.job import run_recorded
from runner.verbs.options import Verb

TABLE = "review,size,stars\n" + "".join(
    f'"{word} film number {number}, really",{number % 7},{stars}\n'
    for number in range(40)
    for word, stars in (("fine", "good"), ("dull", "bad"))
)
RUNS = {
    "textcnn": ["textcnn"],
    "iris": ["mlp", "data=iris"],
    "boston": ["mlp", "data=boston_housing", "callbacks.checkpoint.keep=best"],
    "csv": ["textcnn", "data=csv", "data.path=reviews.csv", "data.text=review", "data.label=stars"],
    "tfidf": ["tfidf_linear"],
}


@contextmanager
def inside(folder: Path):
    """Change to a folder for the duration of the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def composed(overrides: list[str]) -> DictConfig:
    cfg = compose(overrides)
    settle(cfg.data)
    OmegaConf.resolve(cfg)
    return cfg


def called(recorded: tuple[Path, dict[str, str]], verb: Verb) -> int:
    """The exit code of a verb in the folder of the recorded runs; a run may be called by its name there."""
    folder, ids = recorded
    name = getattr(verb, "run", None)
    with inside(folder):
        return (replace(verb, run=ids[name]) if name in ids else verb)()


def bundle(recorded: tuple[Path, dict[str, str]], name: str) -> Path:
    """The folder with the model of a recorded run."""
    folder, ids = recorded
    return find_run(None, folder / "outputs", ids[name]).folder / "model"


def train_all(folder: Path) -> dict[str, str]:
    """Train the runs in `folder`, as the command line would there; return {name: MLflow's id}."""
    (folder / "reviews.csv").write_text(TABLE, encoding="utf-8")
    ids = {}
    with inside(folder), keep_tracker(None, folder / "outputs"):
        for name, (model, *overrides) in RUNS.items():
            overrides = [*small(model), *LIMITS, *overrides, "tracking.system_metrics=false"]
            cfg = composed(overrides)
            choices = {"model": model, "data": name, "task": "", "optim": "adam", "schedule": "", "experiment": None}
            place = folder / "outputs" / name / "run"
            place.mkdir(parents=True)
            ids[name] = run_recorded(cfg, place, choices, overrides)["run_id"]
    return ids
