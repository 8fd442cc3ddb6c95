"""Checkpoints that survive anything: written next to the old one, synced, renamed, enough to resume exactly.

A run folder's `checkpoints/` holds `last.ckpt`, `previous.ckpt` (the one before, in case the last is damaged) and
`best.ckpt` (the best value of the monitored validation metric so far). All hold plain containers and tensors only, so
that they load with `weights_only=True`.
"""

import logging
import math
import os
import random
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer, callbacks
from pytorch_lightning.plugins.io import CheckpointIO

from runner.errors import UserError, closest
from runner.training.history import History

log = logging.getLogger(__name__)


def random_state() -> dict:
    """The state of every random number generator a training step may use, as plain containers and tensors."""
    state: Any = np.random.get_state()
    name, keys, position, has_gauss, gauss = state
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict) -> None:
    """Restore every random number generator to a state that `random_state` returned."""
    random.setstate(state["python"])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def load_checkpoint(path: Path) -> dict:
    """Return a checkpoint, on the CPU, without running any code that it may contain."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UserError(f"{path} is refused: it holds objects that could run code when read") from error


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in `folder` that can be read; log a warning for one that cannot.

    None means that there is no checkpoint yet: the run ended before its first one.

    Raises:
        UserError: there are checkpoints, but none can be read.
    """
    found = [path for name in ("last.ckpt", "previous.ckpt") if (path := folder / name).exists()]
    for path in found:
        try:
            checkpoint = load_checkpoint(path)
        except UserError as error:
            log.warning("%s", error)
        except Exception as error:  # whatever a damaged file makes the reader raise
            log.warning("%s is damaged (%s)", path, type(error).__name__)
        else:
            if checkpoint["best"]:  # a kill may have come before it got its second name
                link(path, folder / "best.ckpt")
            return path
    if found:
        raise UserError(f"no checkpoint in {folder} can be read: train again, with the same command without resume=")
    return None


def epochs_done(folder: Path) -> int:
    """Return how many epochs the run in `folder` has trained, whole ones; 0 without a checkpoint."""
    path = newest_checkpoint(folder / "checkpoints")
    return load_checkpoint(path)["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] if path else 0


def monitored(monitor: str, metrics: dict[str, Any]) -> float:
    """Return the value of the metric that picks the best checkpoint.

    Raises:
        UserError: the run has no such metric.
    """
    if monitor not in metrics:
        known = sorted(metrics)
        raise UserError(
            f"task.monitor={monitor} is not among the metrics of this run.{closest(monitor, known)} "
            f"Allowed: {', '.join(known)}"
        )
    return float(metrics[monitor])


def can_save(trainer: Trainer) -> bool:
    """Whether a run can be resumed exactly from a checkpoint made now, after a batch.

    Before a validation it cannot: Lightning would skip the validation. A checkpoint is then saved at the end of the
    epoch or after the next step. While gradients are accumulated it cannot either: a checkpoint holds no gradients.
    """
    loop = trainer.fit_loop.epoch_loop
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None, "a training runs"
    validates = loop._should_check_val_fx(fetcher)
    return not (trainer.is_last_batch or validates or loop._should_accumulate())


class AtomicWriter(CheckpointIO):
    """Writes checkpoints in the background; at any instant the folder holds a complete one.

    The caller only waits for a copy of the tensors. `storage_options={"best": True}` also makes the file the best one.
    """

    def __init__(self):
        self.thread: threading.Thread | None = None
        self.error: Exception | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        self.wait()
        best = bool(storage_options and storage_options.get("best"))
        self.thread = threading.Thread(target=self.write, args=(copied(checkpoint) | {"best": best}, Path(path)))
        self.thread.start()

    def write(self, checkpoint: dict, path: Path) -> None:
        """Write to a temporary name, sync, rename; the last checkpoint becomes the previous one."""
        part = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(part, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                link(path, path.with_name("previous.ckpt"))
            os.replace(part, path)
            if checkpoint["best"]:
                link(path, path.with_name("best.ckpt"))
        except Exception as error:  # of this thread: `wait` raises it in the training
            with suppress(OSError):
                part.unlink(missing_ok=True)
            self.error = self.explained(error, path)

    def explained(self, error: Exception, path: Path) -> Exception:
        """The error to report when a checkpoint could not be written."""
        if not isinstance(error, OSError) and "PytorchStreamWriter" not in str(error):  # torch's word for a full disk
            return error
        there = next(folder for folder in path.absolute().parents if folder.exists())
        free = shutil.disk_usage(there).free / 2**20
        return UserError(
            f"the checkpoint {path} could not be written; {free:.0f} MB are free on this disk. The checkpoint before "
            f"it is intact: free some space, then continue with resume=last. ({error})"
        )

    def wait(self) -> None:
        """Wait until the file is safely on the disk; raise the error if it could not be written."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> dict:
        self.wait()
        return load_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)

    teardown = wait


def link(source: Path, target: Path) -> None:
    """Give `source` the second name `target` in one step; a copy where the file system has no hard links."""
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:
        shutil.copyfile(source, part)
    os.replace(part, target)
    part.unlink(missing_ok=True)  # still there if both names were the same file already


def copied(value: Any) -> Any:
    """A copy of nested containers and of their tensors, on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copied(item) for item in value)
    return value


class Checkpoint(callbacks.Checkpoint):
    """Saves after every epoch, and on request every few steps or minutes; keeps the best and the last.

    Args:
        monitor: the validation metric that picks the best; None = the last one is the best.
        mode: whether the smallest ("min") or the largest ("max") value is the best.
        every_n_steps: also save every this many optimizer steps, at least 1; None = at the end of epochs only.
        every_n_minutes: also save after this many minutes, above 0; None = at the end of epochs only.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        every_n_steps: int | None = None,
        every_n_minutes: float | None = None,
    ):
        self.monitor = monitor
        self.mode = mode
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.best_score: float | None = None
        self.best_epoch: int | None = None
        self.about: dict[str, Any] = {}  # the configuration and the folder, filled in by the run
        self.score: float | None = None  # of the last validation, until the end of the epoch
        self.saved_at = time.monotonic()
        self.saved_step = 0
        self.restored: tuple[dict, dict] | None = None

    def save(self, trainer: Trainer, best: bool = False) -> None:
        """Save the whole state of the run as `last.ckpt`."""
        path = Path(trainer.default_root_dir, "checkpoints", "last.ckpt")
        trainer.save_checkpoint(path, storage_options={"best": best})
        self.saved_at, self.saved_step = time.monotonic(), trainer.global_step

    def is_best(self, trainer: Trainer) -> bool:
        """Whether this epoch is the best so far; remembers it if so. An epoch without a validation is not."""
        score = None
        if self.monitor is not None:
            score = self.score if self.monitor.startswith("val/") else monitored(self.monitor, trainer.callback_metrics)
            self.score = None
            if score is None:
                return False
            best = self.best_score
            if best is not None and not math.isnan(best) and not (score < best if self.mode == "min" else score > best):
                return False
        self.best_score, self.best_epoch = score, trainer.current_epoch
        return True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and self.monitor is not None and self.monitor.startswith("val/"):
            self.score = monitored(self.monitor, trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        best = self.is_best(trainer)
        of_training = {name.split("/", 1)[1] for name in trainer.callback_metrics if name.startswith("train/")}
        found = sorted(trainer.callback_metrics.items())
        told = [(name, value) for name, value in found if name.split("/")[-1] in of_training or name == self.monitor]
        shown = [f"{name} {value:.4f}" for name, value in told]
        note = " (best)" if best and self.monitor else ""
        log.info("epoch %d/%s%s: %s", trainer.current_epoch + 1, trainer.max_epochs, note, ", ".join(shown))
        self.save(trainer, best=best)

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        steps, minutes = self.every_n_steps, self.every_n_minutes
        due = steps and trainer.global_step - self.saved_step >= steps
        if minutes:  # the clocks of several processes differ
            late = time.monotonic() - self.saved_at >= 60 * minutes
            due = trainer.strategy.reduce_boolean_decision(late, all=False) or due
        if due and can_save(trainer):
            self.save(trainer)

    def state_dict(self) -> dict:
        return {"best_score": self.best_score, "best_epoch": self.best_epoch, "score": self.score}

    def load_state_dict(self, state_dict: dict) -> None:
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]
        self.score = state_dict["score"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        states: list[Any] = [random_state()]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, random_state())
        checkpoint["random_states"] = states
        loader: Any = trainer.train_dataloader
        checkpoint["train_loader"] = loader.state_dict()
        checkpoint["history"] = trainer.logger.history if isinstance(trainer.logger, History) else []
        checkpoint["about"] = self.about

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        self.restored = checkpoint["random_states"][trainer.global_rank], checkpoint["train_loader"]
        if isinstance(trainer.logger, History):
            trainer.logger.replay(checkpoint["history"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved_at, self.saved_step = time.monotonic(), trainer.global_step
        if self.restored is not None:  # as late as possible: no random number may be drawn before the first step
            random_numbers, progress = self.restored
            set_random_state(random_numbers)
            loader: Any = trainer.train_dataloader
            # Lightning restores the loader itself, unless a schedule has already asked for the number of steps.
            loader.load_state_dict(progress)
            self.restored = None
