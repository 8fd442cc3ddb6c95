"""Settings that a short trial can find before the training: the learning rate and the largest batch that fits.

    runner model=textcnn lr_find=true find_batch_size=true

The trials work on a copy of the net, and the state of every random number generator is restored: the training that
follows is the same as if the found values had been typed. They are stored in `found.json` in the run folder, so
that a resumed run does not search again.

Source of the range test: Leslie N. Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017,
arXiv:1506.01186, section 3.3; the exponential growth, the smoothing and the stop at four times the lowest loss as in
the fast.ai library, and its rule never to come nearer than a factor of ten to the rate with the lowest loss.
"""

import copy
import gc
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytorch_lightning as lightning
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer

from runner.config.nodes import as_dict
from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.figures import charts
from runner.files.atomic import write_atomically
from runner.optim.build import optimizer_builder, set_learning_rate
from runner.tasks.base import Task
from runner.tracking.record import Record
from runner.training.checkpoint import random_state, set_random_state
from runner.training.lightning import ON_TRIAL, NoProfiler

log = logging.getLogger(__name__)

FOUND = "found.json"
LOWEST_RATE, HIGHEST_RATE, RATES = 1e-6, 10.0, 100  # at most: the test ends where the loss diverges
SMOOTHING = 0.9  # weight of the past in the running mean of the loss
DIVERGED = 4.0  # times the lowest loss: larger rates are not tried
FEWEST_POINTS = 10
STEPS_AN_EPOCH = 10  # a batch is at most this part of the training rows
MEMORY_SHARE = 0.8  # of the free memory, for the largest batch on a CPU
KEPT_FLAGS = ("accelerator", "precision", "accumulate_grad_batches", "deterministic")  # of the trainer, in a trial
CLIPPING = ("gradient_clip_val", "gradient_clip_algorithm")


def find_settings(cfg: DictConfig, folder: Path, task: Task, data: DataModule, record: Record | None = None) -> None:
    """Find the settings that `cfg.find_batch_size` and `cfg.lr_find` ask for and set them in `cfg`, `data` and `task`.

    Raises:
        UserError: the objective has no such setting.
    """
    if not (cfg.get("lr_find") or cfg.get("find_batch_size")):
        return
    if not isinstance(task.net, torch.nn.Module):
        raise UserError(f"{type(task.net).__name__} is not trained in steps: leave lr_find and find_batch_size out.")
    file = folder / FOUND
    if file.exists():  # this run is resumed, or another of its processes has searched
        use(json.loads(file.read_text(encoding="utf-8")), cfg, task, data)
        return
    before, usual = random_state(), {key: OmegaConf.select(cfg, key) for key in ("data.batch_size", "optim.lr")}
    found: dict[str, float | int] = {}
    if cfg.get("find_batch_size"):
        found["data.batch_size"] = largest_batch(cfg, task, data)
        use(found, cfg, task, data)
    if cfg.get("lr_find"):
        rate = best_rate(cfg, task, data, folder)
        if rate is not None:
            found["optim.lr"] = rate
    set_random_state(before)
    use(found, cfg, task, data)
    write_atomically(file, json.dumps(found, indent=2) + "\n")
    if record is not None:
        record.artifact(file)
        record.tags({"runner.changed_params": json.dumps({key: [usual[key], value] for key, value in found.items()})})


def use(found: dict[str, float | int], cfg: DictConfig, task: Task, data: DataModule) -> None:
    """Set the found values where the training reads them."""
    for key, value in found.items():
        OmegaConf.update(cfg, key, value, force_add=True)
    if "data.batch_size" in found:
        data.batch_size = int(found["data.batch_size"])
    if "optim.lr" in found:
        task.optimizer = optimizer_builder(cfg.optim, cfg.trainer.get("precision"))


# The learning rate.


class RangeTest(Callback):
    """Raises the learning rate at every step, through `rates`, and records the smoothed loss."""

    def __init__(self, rates: np.ndarray):
        self.rates = rates
        self.losses: list[float] = []
        self.mean = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        set_learning_rate(trainer.optimizers[0], float(self.rates[trainer.global_step]))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == len(self.losses):  # gradients are being accumulated
            return
        loss = float(outputs["loss"])
        self.mean = SMOOTHING * self.mean + (1 - SMOOTHING) * loss
        smooth = self.mean / (1 - SMOOTHING ** (len(self.losses) + 1))
        if not np.isfinite(smooth) or smooth > DIVERGED * min(self.losses, default=np.inf):
            trainer.should_stop = True
        else:
            self.losses.append(smooth)
        if len(self.losses) == len(self.rates):
            trainer.should_stop = True


def best_rate(cfg: DictConfig, task: Task, data: DataModule, folder: Path) -> float | None:
    """Return the rate at which the loss falls most steeply and draw `figures/lr_find.png`; None if it never falls."""
    if not task.automatic_optimization:
        raise UserError("lr_find works with one loss and one optimizer; this objective has more. Leave it out.")
    if "lr" not in cfg.optim:
        raise UserError(f"{cfg.optim._target_} has no lr in its settings: write +optim.lr=0.001 or leave lr_find out.")
    rates = np.geomspace(LOWEST_RATE, HIGHEST_RATE, RATES)
    test = RangeTest(rates)
    trial(cfg, task, data, steps=RATES, callbacks=[test])
    rate = steepest(rates, test.losses)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    drawn = charts.range_test(rates[: len(test.losses)], np.array(test.losses), rate)
    drawn.savefig(folder / "figures" / "lr_find.png")
    if rate is None:
        log.warning(
            "lr_find: the loss does not fall at any rate (figures/lr_find.png); optim.lr stays %s", cfg.optim.lr
        )
    else:
        log.info("lr_find: optim.lr=%.3g instead of %s (figures/lr_find.png); this run uses it", rate, cfg.optim.lr)
    return rate


def steepest(rates: np.ndarray, losses: list[float]) -> float | None:
    """Return the rate at which the loss falls fastest over the logarithm of the rate; two digits are enough.

    It is at most a tenth of the rate with the lowest loss: on a noisy curve the steepest place may be at the very end.
    """
    values = np.array(losses)
    first, last = FEWEST_POINTS, int(values.argmin()) + 1 if len(values) else 0  # the first means hold few losses
    if last - first < FEWEST_POINTS:
        return None
    slopes = np.gradient(values, np.log10(rates[: len(values)]))[first:last]
    place = int(slopes.argmin())
    if slopes[place] >= 0:
        return None
    return float(f"{min(rates[first + place], rates[last - 1] / 10):.2g}")


# The batch.


def largest_batch(cfg: DictConfig, task: Task, data: DataModule) -> int:
    """Return the largest size, a power of two times `data.batch_size`, with which training steps fit into memory."""
    usual, size, fits = data.batch_size, data.batch_size, 0
    most = max(usual, len(data.train) // STEPS_AN_EPOCH)
    why = f"an epoch keeps {STEPS_AN_EPOCH} steps"
    try:
        while size <= most:
            data.batch_size = size
            left, before = memory_left(), psutil.Process().memory_info().rss
            try:
                trial(cfg, task, data, steps=2)
            except torch.OutOfMemoryError:
                why = f"{size} rows do not fit into the memory of the device"
                if fits or size == 1:
                    break
                most, size = size // 2, size // 2
                continue
            fits = size
            needs = 2 * max(0, peak_memory() - before)  # of the next size
            if not torch.cuda.is_available() and needs > MEMORY_SHARE * left:
                why = f"{2 * size} rows would need some {needs / 2**30:.1f} of {left / 2**30:.1f} GB of memory"
                break
            size *= 2
    finally:
        data.batch_size = usual
    if not fits:
        raise UserError("find_batch_size: not even one row fits into the memory of the device.")
    steps = -(-len(data.train) // fits)
    log.info("find_batch_size: data.batch_size=%d instead of %d, %d steps an epoch (%s)", fits, usual, steps, why)
    return fits


def memory_left() -> int:
    """Bytes this process may still use: what the machine has, or what its container allows."""
    left = psutil.virtual_memory().available
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdigit():
        left = min(left, int(text) - int(used.read_text()))
    return left


def peak_memory() -> int:
    """The most bytes this process has used at any time."""
    info = psutil.Process().memory_info()
    if hasattr(info, "peak_wset"):  # Windows
        return info.peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def trial(cfg: DictConfig, task: Task, data: DataModule, steps: int, callbacks: Sequence[Callback] = ()) -> None:
    """Train a copy of the task for some steps: neither the task nor any file changes."""
    twin = copy.deepcopy(task)
    twin.schedule = None
    vars(twin)["close_window"] = lambda: None  # a loss that is not finite ends a training; here it is expected
    flags = as_dict(cfg.trainer, resolve=True)
    names = KEPT_FLAGS + (CLIPPING if task.automatic_optimization else ())
    kept: dict[str, Any] = {name: flags[name] for name in names if name in flags}
    trainer = lightning.Trainer(
        **kept,
        max_steps=steps,
        max_epochs=-1,
        callbacks=list(callbacks),
        profiler=NoProfiler(),
        enable_checkpointing=False,
        **ON_TRIAL,
    )
    try:
        trainer.fit(twin, data.train_dataloader(), data.val_dataloader())
    finally:
        del twin, trainer
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
