"""One job of the command line: recording a run from its beginning to its real end.

The record is opened before torch is imported, so that both are prepared at the same time.
"""

import logging
import math
import os
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
from runner.config.nodes import as_dict, recordable
from runner.errors import UserError, print_mistake, storage_error
from runner.files import sources
from runner.files.atomic import write_atomically
from runner.files.progress import doing
from runner.tracking.find import FILE_WITH_ID
from runner.tracking.record import Record, TrackingError
from runner.tracking.tracker import tracker_for
from runner.training.interrupt import Interrupt, Interrupted, Pruned
from runner.training.processes import launching, rank
from runner.training.resume import changes, key_of, quoted
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
    recordable(cfg)
    typed = OmegaConf.to_container(hydra.overrides.task)  # as it is: what it reads from the environment is not recorded
    overrides = [override for override in map(str, cast(list, typed)) if key_of(override) != "resume"]
    multirun = hydra.mode is RunMode.MULTIRUN
    with ending(folder, multirun):
        if cfg.get("init_from") and not cfg.resume:
            uri, outputs = cfg.tracking.uri, Path.cwd() / "outputs"
            cfg.init_from = lasting_name(cfg.init_from, uri, outputs, one_of_many=multirun)
            overrides = [o for o in overrides if key_of(o) != "init_from"] + [f"init_from={quoted(cfg.init_from)}"]
        if rank() > 0:
            run_beside(cfg, folder)
            return None
        with only_process(folder):
            own = hydra.runtime.choices["hydra/sweeper"] == "runner" and multirun  # such a sweep prints its own table
            result = run_recorded(cfg, folder, dict(hydra.runtime.choices), overrides, show=not own)
    return result.get(cfg.task.get("monitor") or "val/loss")


def run_recorded(
    cfg: DictConfig,
    folder: Path,
    choices: dict,
    overrides: list[str],
    tags: dict[str, str] | None = None,
    show: bool = True,
) -> dict[str, Any]:
    """Train in `folder` with a record in MLflow; continue the run `cfg.resume` if there is one.

    Args:
        cfg: the resolved configuration.
        folder: the run folder.
        choices: what was chosen of each group.
        overrides: what was typed.
        tags: tags of the run in MLflow, besides the usual ones.
        show: whether to print the closing table.

    Raises:
        TrackingError: the run could not be recorded, or not completely; in the latter case it has finished.
    """
    interrupt = Interrupt()
    interrupt.install()
    if cfg.tracking.name is None:
        cfg.tracking.name = f"{choices['model']}-{choices['data']}"
    written = as_dict(cfg.tracking)  # what comes from the environment stays unresolved
    with tracker_for(cfg.tracking.uri, Path.cwd() / "outputs") as tracker:
        if cfg.resume and (folder / "config.yaml").exists():  # a job of a sweep may have a run before it begins
            note_changes(folder, cfg)
        else:
            clean(folder)
        write_atomically(folder / "config.yaml", OmegaConf.to_yaml(cfg))
        write_atomically(folder / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(overrides)))
        record = tracker.start(
            experiment=written["experiment"],
            name=written["name"],
            params=ordered(as_dict(cfg)),
            tags={f"runner.{group}": choices[group] for group in RECORDED if choices.get(group)}
            | {"runner.folder": str(folder), "runner.threads": threads(), **(tags or {})}
            | ({"runner.init_from": cfg.init_from} if cfg.get("init_from") else {}),
            resume=cfg.resume,
            system_metrics=cfg.tracking.system_metrics,
        )
        for name in ("config.yaml", "overrides.yaml"):
            record.artifact(folder / name)
        doing("importing torch and Lightning")
        with recorded(record), launching(folder / "config.yaml"):
            from runner.training.callbacks import StopOnSignal
            from runner.training.checkpoint import tidy
            from runner.training.train import train

            result = train(cfg, folder, record, StopOnSignal(interrupt))
            if show:
                closing_table(result, folder)
        keep = (cfg.callbacks.get("checkpoint") or {}).get("keep", "resume")
        if keep == "best":
            record.wait()  # until the record is complete, a killed run needs its last checkpoint
        tidy(folder / "checkpoints", keep)
        return result


def threads() -> str:
    """Return how many CPU threads a step may use, as torch will say once it is imported."""
    return os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count())


def ordered(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as MLflow's page shows them: the model, the data and the objective before the machinery."""
    first = [group for group in (*RECORDED, "seed") if group in settings]
    return {key: settings[key] for key in (*first, *settings) if key != "resume"}


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
    with ending(config.parent, multirun=False):
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
    except TrackingError:  # it could not be opened
        raise
    except BaseException as stopped:
        try:
            if isinstance(stopped, Interrupted):
                record.finish("KILLED", error=f"stopped by {stopped}")
            elif isinstance(stopped, Pruned):
                record.tags({"runner.pruned": "true"})
                record.finish("KILLED", error=str(stopped))
            else:
                record.finish("FAILED", error="".join(traceback.format_exception(stopped)))
        except TrackingError as error:
            log.warning("%s", error)
        raise
    doing("storing the record")
    record.finish("FINISHED")


@contextmanager
def ending(folder: Path, multirun: bool) -> Iterator[None]:
    """Turn the end of the run in `folder` into a message for the user and the exit code of the command."""
    try:
        yield
    except Interrupted as stopped:
        print(f"runner: stopped by {stopped}" + "; continue with: runner resume=last" * (not multirun), file=sys.stderr)
        sys.exit(stopped.exit_code)
    except Exception as raised:
        begun = folder / FILE_WITH_ID
        then = f"type: runner resume={begun.read_text().strip()}" if begun.exists() else "type the command again"
        error = storage_error(raised, folder, then) or raised
        if isinstance(error, UserError):
            print_mistake(error)
        else:
            traceback.print_exc()
        if multirun:
            raise error from raised
        sys.exit(2 if isinstance(error, UserError) else 1)


def closing_table(result: dict[str, Any], folder: Path) -> None:
    """Print the metrics of the validation and test splits and where the results are."""
    from rich.console import Console
    from rich.table import Table

    doing(None)
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
