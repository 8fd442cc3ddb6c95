"""One job of the command line: recording a run from its beginning to its real end.

The record is opened before torch is imported, so that both are prepared at the same time.
"""

import logging
import math
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.config.catalog import RECORDED
from runner.config.inferred import settle
from runner.config.nodes import as_dict
from runner.errors import UserError, print_mistake
from runner.files import sources
from runner.tracking.record import Record
from runner.tracking.tracker import tracker_for
from runner.training.interrupt import Interrupt, Interrupted, Pruned
from runner.training.processes import launching, rank
from runner.training.resume import changes, key_of
from runner.training.warm_start import lasting_name

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float | None:
    """Train as `cfg` says; return the monitored metric of the best checkpoint, which a sweep optimises."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir).resolve()
    with open_dict(cfg):
        cfg.pop("sweep", None)  # how the jobs of a sweep are chosen is not a setting of a job
    sources.go_offline(cfg)
    settle(cfg.data)
    OmegaConf.resolve(cfg)
    overrides = [override for override in hydra.overrides.task if key_of(override) != "resume"]
    multirun = hydra.mode is RunMode.MULTIRUN
    with ending(multirun):
        if cfg.get("init_from") and not cfg.resume:
            uri, outputs = cfg.tracking.uri, Path.cwd() / "outputs"
            cfg.init_from = lasting_name(cfg.init_from, uri, outputs, one_of_many=multirun)
            overrides = [o for o in overrides if key_of(o) != "init_from"] + [f"init_from='{cfg.init_from}'"]
        if rank() > 0:
            run_beside(cfg, folder)
            return None
        with only_process(folder):
            result = run_recorded(cfg, folder, dict(hydra.runtime.choices), overrides)
    if hydra.runtime.choices["hydra/sweeper"] != "runner" or not multirun:
        closing_table(result, folder)  # a sweep prints its own
    return result.get(cfg.task.get("monitor") or "val/loss")


def run_recorded(
    cfg: DictConfig, folder: Path, choices: dict, overrides: list[str], tags: dict[str, str] | None = None
) -> dict[str, Any]:
    """Train in `folder` with a record in MLflow; continue the run `cfg.resume` if there is one."""
    interrupt = Interrupt()
    interrupt.install()
    with tracker_for(cfg.tracking.uri, Path.cwd() / "outputs") as tracker:
        if cfg.resume and (folder / "config.yaml").exists():  # a job of a sweep may have a run before it begins
            note_changes(folder, cfg)
        else:
            clean(folder)
        OmegaConf.save(cfg, folder / "config.yaml")
        OmegaConf.save(OmegaConf.create(overrides), folder / "overrides.yaml")
        record = tracker.start(
            experiment=cfg.tracking.experiment,
            name=cfg.tracking.name or f"{choices['model']}-{choices['data']}",
            params={key: value for key, value in as_dict(cfg).items() if key != "resume"},
            tags={f"runner.{group}": choices[group] for group in RECORDED if choices.get(group)}
            | {"runner.folder": str(folder), **(tags or {})}
            | ({"runner.init_from": cfg.init_from} if cfg.get("init_from") else {}),
            resume=cfg.resume,
            system_metrics=cfg.tracking.system_metrics,
        )
        for name in ("config.yaml", "overrides.yaml"):
            record.artifact(folder / name)
        with recorded(record), launching(folder / "config.yaml"):
            from runner.training.callbacks import StopOnSignal
            from runner.training.train import train

            return train(cfg, folder, record, StopOnSignal(interrupt))


def run_beside(cfg: DictConfig, folder: Path) -> None:
    """Train as one of the processes that do not record."""
    from runner.training.callbacks import StopOnSignal
    from runner.training.train import train

    logging.getLogger().setLevel(logging.WARNING)  # the first process logs the rest for all
    interrupt = Interrupt()
    interrupt.install()
    train(cfg, folder, stop=StopOnSignal(interrupt))


def run_frozen(config: Path) -> None:
    """Train as a process that Lightning has started for the run whose resolved configuration is `config`."""
    with ending(multirun=False):
        run_beside(cast(DictConfig, OmegaConf.load(config)), config.parent)


def note_changes(folder: Path, cfg: DictConfig) -> None:
    """Log what differs from the configuration the run began with; refuse what would make it a different run."""
    differing = changes(cast(DictConfig, OmegaConf.load(folder / "config.yaml")), cfg)
    if "trainer.max_epochs" in differing:
        from runner.training.checkpoint import epochs_done

        if (done := epochs_done(folder)) > (cfg.trainer.max_epochs or math.inf):
            raise UserError(
                f"the run has trained {done} epochs already; give it more epochs: trainer.max_epochs={2 * done}"
            )
    for key, (was, now) in differing.items():
        log.warning("resumed with %s: %s -> %s", key, was, now)
    (folder / "metrics.json").unlink(missing_ok=True)


def clean(folder: Path) -> None:
    """Remove the files of an earlier run in this folder."""
    for name in ("metrics.json", "samples.txt", "run_id", "found.json"):
        (folder / name).unlink(missing_ok=True)
    for stale in folder.glob("checkpoints/*"):
        stale.unlink()


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Lock the folder, so that no second process works on the same run or sweep."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / ".lock", timeout=0).acquire()
    except Timeout:
        raise UserError(f"another process is working in {folder}") from None
    with lock:
        yield


@contextmanager
def recorded(record: Record) -> Iterator[None]:
    """Record how the run really ended: FINISHED, FAILED with the error, or KILLED."""
    try:
        yield
    except Interrupted as stopped:
        record.finish("KILLED", error=f"stopped by {stopped}")
        raise
    except Pruned as stopped:
        record.tags({"runner.pruned": "true"})
        record.finish("KILLED", error=str(stopped))
        raise
    except BaseException as error:
        record.finish("FAILED", error="".join(traceback.format_exception(error)))
        raise
    record.finish("FINISHED")


@contextmanager
def ending(multirun: bool) -> Iterator[None]:
    """Turn the end of a run into a message for the user and the exit code of the command."""
    try:
        yield
    except Interrupted as stopped:
        print(f"runner: stopped by {stopped}" + "; continue with: runner resume=last" * (not multirun), file=sys.stderr)
        sys.exit(stopped.exit_code)
    except Exception as error:
        if isinstance(error, UserError):
            print_mistake(error)
        else:
            traceback.print_exc()
        if multirun:
            raise
        sys.exit(2 if isinstance(error, UserError) else 1)


def closing_table(result: dict[str, Any], folder: Path) -> None:
    """Print the metrics of the validation and test splits and where the results are."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "validation", "test")
    names = {name.split("/", 1)[1] for name in result if name.startswith(("val/", "test/"))}
    for name in sorted(names):
        cells = [result.get(f"{split}/{name}") for split in ("val", "test")]
        table.add_row(name, *("" if cell is None else f"{cell:.4f}" for cell in cells))
    console = Console(soft_wrap=True, highlight=False)
    if names:
        console.print(table)
    console.print(f"run:    {result['run_id']}")
    console.print(f"folder: {folder}")
    console.print("next:   runner predict run=last ... | runner evaluate run=last | runner ui")
