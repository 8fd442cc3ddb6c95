"""One training run from configuration to metrics."""

import json
import logging
import math
import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning.accelerators import CPUAccelerator

from runner.build import build_data, build_task, start_vectors
from runner.config import safety
from runner.config.instances import instance
from runner.config.nodes import as_dict
from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.figures import charts
from runner.figures.animation import animate
from runner.files.atomic import write_atomically
from runner.files.progress import doing
from runner.inference.bundle import save_bundle
from runner.inference.predictor import PyfuncModel
from runner.tasks.base import EPOCHS, FILES, Task
from runner.tracking.find import FILE_WITH_ID
from runner.tracking.record import Record
from runner.training.callbacks import KeepStatistics, ShowProgress, StopOnSignal, Unfreeze, build_callbacks
from runner.training.checkpoint import AtomicWriter, load_checkpoint, newest_checkpoint
from runner.training.find_settings import find_settings
from runner.training.history import History
from runner.training.lightning import PLAIN, profiler, silence
from runner.training.pruning import pruning
from runner.training.ranking import RANKING
from runner.training.steps import Steps
from runner.training.warm_start import first_epochs, freeze, warm_start

log = logging.getLogger(__name__)


def train(
    cfg: DictConfig, folder: Path, record: Record | None = None, stop: StopOnSignal | None = None
) -> dict[str, Any]:
    """Train, pick the best checkpoint by validation, read the test split once, and write everything into `folder`.

    Args:
        cfg: the resolved configuration.
        folder: where all files of the run go.
        record: the MLflow record of the run; None = only the folder.
        stop: the callback that ends the training on a signal.

    Returns:
        what `metrics.json` holds.
    """
    started = time.time()
    silence()
    folder.mkdir(parents=True, exist_ok=True)
    safety.allow(cfg.get("allow"))
    safety.guard(cfg)
    try_trainer(cfg)
    doing("reading the data")
    data = build_data(cfg)
    data.setup()
    doing("building the net")
    watch_what_there_is(cfg, data)
    lightning.seed_everything(cfg.seed, verbose=False)
    task = build_task(cfg)
    task.connect(data)
    vectors = start_vectors(cfg, task, data)
    checkpoint = newest_checkpoint(folder / "checkpoints") if cfg.resume else None
    if cfg.get("init_from") and checkpoint is None:
        warm_start(cfg.init_from, task, data, cfg.tracking.uri, Path.cwd() / "outputs")
    frozen = [KeepStatistics(freeze(task, cfg.get("freeze") or [])), Unfreeze(first_epochs(task, cfg.get("unfreeze")))]
    find_settings(cfg, folder, task, data, record)
    history, progress, writer = History(record), ShowProgress(), AtomicWriter()
    callbacks = [progress, *frozen, *([stop] if stop else []), *pruning(folder)]
    callbacks += build_callbacks(cfg.callbacks, resuming=checkpoint is not None)
    trainer = build_trainer(cfg, folder, task, history, callbacks, writer)
    if record is not None:
        open_record(record, cfg, folder, data)
    doing("beginning to train")
    task.fit(trainer, data, str(checkpoint) if checkpoint else None)
    writer.wait()
    trainer.strategy.barrier()
    folder = Path(trainer.strategy.broadcast(str(folder)))  # a process started by torchrun has another one
    best = load_best(task, folder) or {}
    best_step = best.get("global_step")
    metrics = history.latest("train/", until=best_step)  # of the same epoch as the weights that are evaluated
    for split in [split for split in ("val", "test") if split in data.sizes]:
        metrics |= task.evaluate(trainer, data, split)
    metrics = known(metrics | {f"fit/{name}": value for name, value in (task.fitted() | vectors).items()})
    metrics |= {"train/samples_per_second": progress.samples_per_second} if progress.seconds else {}
    result = metrics | {
        "run_id": record.id if record is not None else None,
        "best_checkpoint": str(folder / "checkpoints" / "best.ckpt") if best else None,
        "best_epoch": min(best["epoch"] + 1, trainer.current_epoch) if best else None,  # an average is made at the end
        "duration_seconds": round(time.time() - started, 3),
    }
    doing("drawing figures and storing the model")  # drawn in every process: the data come from all of them
    drawn = all_figures(task, data)
    if trainer.is_global_zero:
        save_bundle(folder, cfg, task, data)
        save_figures(folder, drawn, titled(cfg, record), task.monitor, history, best_step)
        write_files(folder / FILES, task, data)
        if record is not None:
            keep(record, folder, metrics, trainer.global_step)
        if record is not None and cfg.tracking.model:
            keep_model(record, folder, cfg, task, data)
        write_atomically(folder / "metrics.json", json.dumps(result, indent=2) + "\n")
    return result


def all_figures(task: Task, data: DataModule) -> dict[str, Figure]:
    """Return the figures of objective and data by name; batch norm must not learn from what is drawn."""
    task.eval()  # Lightning is back in training mode
    return (task.figures() if "test" in data.sizes else {}) | data.figures(task)


def open_record(record: Record, cfg: DictConfig, folder: Path, data: DataModule) -> None:
    """Record which data are read, and note the run's id in its folder."""
    doing("opening the record")
    name = str(cfg.data._target_).rsplit(".", 1)[-1]
    record.dataset(name=name, source=data.source, digest=data.digest, sizes=data.sizes, columns=data.columns)
    write_atomically(folder / FILE_WITH_ID, record.id + "\n")


def titled(cfg: DictConfig, record: Record | None) -> str:
    """Return what the figures of a run are titled with."""
    return f"{cfg.tracking.name or 'run'}" + (f", run {record.id[:8]}" if record is not None else "")


def watch_what_there_is(cfg: DictConfig, data: DataModule) -> None:
    """Let nothing watch a validation metric where there is no such split: the last checkpoint is then the best."""
    if "val" in data.sizes:
        return
    log.info("there is no validation split: the last checkpoint is kept, and nothing stops early")
    with open_dict(cfg):
        cfg.task.monitor = None
    for node in cfg.callbacks.values():
        if node is not None and str(node.get("monitor")).startswith("val/"):
            node.monitor = None


def known(metrics: dict[str, float]) -> dict[str, float]:
    """Leave out points of the curve, and what is not a number, such as R2 of a single row: JSON has no word for it."""
    metrics = {name: value for name, value in metrics.items() if not name.endswith(("_step", "/lr"))}
    lost = [name for name, value in metrics.items() if not math.isfinite(value)]
    if lost:
        log.warning("left out, since they are not finite numbers: %s", ", ".join(lost))
    return {name: value for name, value in metrics.items() if name not in lost}


def try_trainer(cfg: DictConfig) -> None:
    """Raise UserError where this machine lacks what the trainer's settings ask for, before any data are read."""
    flags = as_dict(cfg.trainer, resolve=True) | {"profiler": None}
    tried = instance(flags, "trainer", logger=False, enable_checkpointing=False, **PLAIN)
    cores = max(2, os.cpu_count() or 1)
    if isinstance(tried.accelerator, CPUAccelerator) and tried.num_devices > cores:
        raise UserError(f"trainer.devices={tried.num_devices}: this machine has CPU cores for {cores} processes")


def build_trainer(
    cfg: DictConfig, folder: Path, task: Task, history: History, callbacks: list, writer: AtomicWriter
) -> lightning.Trainer:
    """Lightning's Trainer with the callbacks of the configuration and of the run."""
    flags = as_dict(cfg.trainer, resolve=True)
    if not task.automatic_optimization:  # Lightning leaves clipping to objectives that step their optimizers themselves
        task.gradient_clip = flags.pop("gradient_clip_val", None), flags.pop("gradient_clip_algorithm", "norm")
    for callback in callbacks:
        if hasattr(callback, "about"):
            callback.about = {"config": OmegaConf.to_yaml(cfg), "folder": str(folder)}
    trainer = instance(
        flags,
        "trainer",
        logger=history,
        profiler=profiler(flags.pop("profiler", None), folder),
        callbacks=callbacks,
        plugins=[writer],
        default_root_dir=str(folder),
        **PLAIN,
    )
    loop = trainer.fit_loop.epoch_loop
    trainer.fit_loop.epoch_loop = Steps(trainer, loop.min_steps, loop.max_steps)
    return trainer


def load_best(task: Task, folder: Path) -> dict[str, Any] | None:
    """Load the weights of the best checkpoint into the task; return the checkpoint, or None if there is none."""
    path = folder / "checkpoints" / "best.ckpt"
    if not path.exists():
        return None
    checkpoint = load_checkpoint(path)
    task.load_state_dict(checkpoint["state_dict"])
    return checkpoint


def save_figures(
    folder: Path, drawn: dict, title: str, monitor: str | None, history: History, best_step: int | None
) -> None:
    """Save the figures of the objective and of the data, `drawn`, and the learning curves; `title` names the run."""
    both = [{name.split("/", 1)[1] for name in history.latest(f"{split}/")} for split in ("train", "val")]
    for name in sorted((both[0] & (both[1] or both[0])) | {(monitor or "val/loss").split("/", 1)[1]} & both[1]):
        found = {split: history.curve(f"{split}/{name}") for split in ("train", "val")}
        curves = {split: (history.epochs(steps), values) for split, (steps, values) in found.items() if steps}
        best = None if best_step is None else history.epochs([best_step])[0]
        drawn[f"learning_curve_{name}"] = charts.learning_curves(curves, name, best)
    (folder / "figures").mkdir(exist_ok=True)
    for name, figure in drawn.items():
        charts.entitle(figure, f"{name.replace('_', ' ')}\n{title}")
        figure.savefig(folder / "figures" / f"{name}.png")
    for pictures in (folder / "figures" / EPOCHS).glob("*/"):
        animate(pictures, folder / "figures" / f"{pictures.name}.gif")


def write_files(folder: Path, task: Task, data: DataModule) -> None:
    """Let the objective write files of its own; where it has none to write there is no folder."""
    folder.mkdir(exist_ok=True)
    task.write_files(folder, data)
    if not any(folder.iterdir()):
        folder.rmdir()


def keep(record: Record, folder: Path, metrics: dict[str, float], step: int) -> None:
    """Hand the final metrics and the files of the run to its record."""
    kept = {f"best/{name.removeprefix('val/')}": value for name, value in metrics.items() if name.startswith("val/")}
    as_they_are = ("test/", "fit/", "train/samples_per_second")
    kept |= {name: value for name, value in metrics.items() if name.startswith(as_they_are)}
    record.metrics(kept, step=step)
    for name in ("figures", FILES, "samples.txt", "runner.log", f"checkpoints/{RANKING}"):
        if (folder / name).exists():
            record.artifact(folder / name)


def keep_model(record: Record, folder: Path, cfg: DictConfig, task: Task, data: DataModule) -> None:
    """Hand the weights of the run to its record, once: as a model that answers raw rows, or else as they are."""
    answered, best = task.answer_columns(data), folder / "checkpoints" / "best.ckpt"
    if answered:
        own = safety.own_code(cfg)
        record.model(folder / "model", PyfuncModel, data.columns, answered, data.some_rows(2), code=own)
    elif best.exists():
        record.artifact(best, folder="checkpoints")
