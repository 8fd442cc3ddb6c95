"""The same from Python: `run` trains as the command does, `load` finds a run, and both return the run as an object.

    from runner import load, run

    trained = run("model=textcnn", "data=movie_reviews", "trainer.max_epochs=3")
    trained.metrics["test/accuracy"]
    trained("a fine film")
    load("last").figures["learning_curves"]

`run` goes through the verb `train`: the same checks, the same folder, the same record in MLflow.
"""

import json
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from runner.inference.predictor import Predictor
    from runner.tasks.base import Task


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        folder: its folder, with everything that it wrote.
    """

    folder: Path

    @cached_property
    def metrics(self) -> dict[str, float]:
        """What was measured, such as "test/accuracy"."""
        written = json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))
        return {name: value for name, value in written.items() if isinstance(value, int | float)}

    @property
    def id(self) -> str:
        """Its id in MLflow."""
        return (self.folder / "run_id").read_text(encoding="utf-8").strip()

    @property
    def figures(self) -> dict[str, Path]:
        """The files of its figures by name; in a notebook, `IPython.display.Image(path)` shows one."""
        return {path.stem: path for path in sorted((self.folder / "figures").glob("*.*"))}

    @cached_property
    def predictor(self) -> "Predictor":
        """What answers rows; loaded when it is first asked for."""
        from runner.inference.predictor import Predictor

        return Predictor(self.folder / "model")

    @property
    def task(self) -> "Task":
        """The objective with the trained net in it, `task.net`."""
        return self.predictor.task

    def __call__(self, rows: str | Mapping[str, Any] | Iterable[str | Mapping[str, Any]]) -> list[dict]:
        """Answer a text, a row {column: value}, or several of them; one answer for each."""
        several = [rows] if isinstance(rows, str | Mapping) else rows
        return list(self.predictor([{"text": row} if isinstance(row, str) else dict(row) for row in several]))


def run(*settings: str) -> Run:
    """Train, pick the best checkpoint, test it, record the run.

    Args:
        settings: what would be typed after `runner`: "model=lstm", "optim.lr=0.01", "resume=last".

    Raises:
        UserError: a setting is wrong, or the run has ended with a mistake that you can correct.
    """
    from hydra.core.hydra_config import HydraConfig

    from runner.verbs.train import SHOWING_FLAGS, Train, run_job

    if flags := [each for each in settings if each in ("-m", "--multirun", *SHOWING_FLAGS)]:
        raise UserError(
            f"{flags[0]} is for the command line; several runs are a loop: [run(f'seed={{s}}') for s in ..]"
        )
    folders: list[Path] = []

    def job(cfg: "DictConfig") -> float | None:
        folders.append(Path(HydraConfig.get().runtime.output_dir).resolve())
        return run_job(cfg)

    with as_command():
        Train(arguments=settings).start(job)
    return Run(folders[0])


def load(which: str = "last") -> Run:
    """Return a finished run of the folder `outputs` that is here.

    Args:
        which: last, an id or its beginning, a name, or the folder of a run.

    Raises:
        UserError: there is no such run, or its folder is not on this machine.
    """
    from runner.tracking.find import find_run

    found = find_run(None, Path.cwd() / "outputs", which, status="FINISHED")
    if found.folder is None or not (found.folder / "metrics.json").is_file():
        raise UserError(f"the folder of run {found.id} is not on this machine: {found.folder}")
    return Run(found.folder)


@contextmanager
def as_command() -> Iterator[None]:
    """Train in a program that continues: its arguments and signals are restored, a failed run is an exception."""
    arguments = list(sys.argv)
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit as ended:
        raise ended.__context__ or RuntimeError(f"the run has ended with code {ended.code}") from None
    finally:
        sys.argv[:] = arguments
        for number, handler in signals.items():
            signal.signal(number, handler)
