"""One job of the command line: the record of a run from its first moment to its true end.

The record is opened before torch is imported, so that both are got ready at the same time.
"""

import logging
import os
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runner.errors import UserError
from runner.interrupt import Interrupt, Interrupted
from runner.tracking import Tracker

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float | None:
    """Train as `cfg` says; return the monitored metric of the best checkpoint, which a sweep optimises."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir).resolve()
    choices = hydra.runtime.choices
    OmegaConf.resolve(cfg)
    write_settings(folder, cfg, list(hydra.overrides.task))

    interrupt = Interrupt()
    interrupt.install()
    with closing_run(hydra.mode.name == "MULTIRUN"), Tracker(cfg.tracking.uri, Path.cwd() / "outputs") as tracker:
        record = tracker.start(
            experiment=cfg.tracking.experiment,
            name=cfg.tracking.name or f"{choices.model}-{choices.data}",
            params=OmegaConf.to_container(cfg),
            tags={f"runner.{group}": choices[group] for group in ("model", "data", "task", "optim", "experiment")
                  if choices.get(group)} | {"runner.folder": str(folder)},
            system_metrics=cfg.tracking.system_metrics,
        )  # fmt: skip
        for name in ("config.yaml", "overrides.yaml"):
            record.artifact(folder / name)
        with recorded(record):
            from runner.callbacks import StopOnSignal
            from runner.train import train

            result = train(cfg, folder, record, StopOnSignal(interrupt))
    closing_table(result, folder)
    return result.get(cfg.task.get("monitor") or "val/loss")


def write_settings(folder: Path, cfg: DictConfig, overrides: list[str]) -> None:
    """Write the resolved configuration and the overrides; take away what an earlier run in this folder has left."""
    for name in ("metrics.json", "samples.txt"):
        (folder / name).unlink(missing_ok=True)
    for stale in folder.glob("checkpoints/*"):
        stale.unlink()
    OmegaConf.save(cfg, folder / "config.yaml")
    OmegaConf.save(OmegaConf.create(overrides), folder / "overrides.yaml")


@contextmanager
def recorded(record: Any):
    """Give the record its true end: FINISHED, FAILED with the error, or KILLED."""
    try:
        yield
    except Interrupted as stopped:
        record.finish("KILLED", error=f"stopped by {stopped}")
        raise
    except BaseException as error:
        record.finish("FAILED", error="".join(traceback.format_exception(error)))
        raise
    record.finish("FINISHED")


@contextmanager
def closing_run(multirun: bool):
    """Turn every way a run can end into what the user sees and the exit code of the command."""
    try:
        yield
    except Interrupted as stopped:
        print(f"runner: stopped by {stopped}; the checkpoint is saved", file=sys.stderr)
        sys.exit(stopped.exit_code)
    except Exception as error:
        mistake = isinstance(error, UserError)
        if mistake and not os.environ.get("RUNNER_DEBUG"):
            print(f"runner: {error}", file=sys.stderr)
        else:
            traceback.print_exc()
        if multirun:
            raise
        sys.exit(2 if mistake else 1)


def closing_table(result: dict[str, Any], folder: Path) -> None:
    """Print the metrics of the validation and test splits and where everything lies."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "validation", "test")
    names = {name.split("/", 1)[1] for name in result if name.startswith(("val/", "test/"))}
    for name in sorted(names):
        cells = [result.get(f"{split}/{name}") for split in ("val", "test")]
        table.add_row(name, *("" if cell is None else f"{cell:.4f}" for cell in cells))
    console = Console()
    console.print(table)
    console.print(f"run:    {result['run_id']}", highlight=False)
    console.print(f"folder: {folder}", soft_wrap=True, highlight=False)
    console.print("next:   runner predict run=last ... | runner evaluate run=last | runner ui", highlight=False)
