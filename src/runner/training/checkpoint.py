"""Checkpoints that survive anything: written next to the old one, synced, renamed, enough to resume exactly.

A run folder's `checkpoints/` holds `last.ckpt`, `previous.ckpt` (the one before, in case the last is damaged) and
`best.ckpt`: the weights with the best value of the monitored validation metric so far and nothing else, since training
never continues from there. More of the best epochs may be kept too (`runner.training.ranking`). `tidy` says what stays
after the end. All hold plain containers and tensors only, so that they load with `weights_only=True`.
"""

import logging
import math
import random
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer, callbacks
from pytorch_lightning.callbacks import StochasticWeightAveraging
from pytorch_lightning.plugins.io import CheckpointIO

from runner.errors import UserError, closest
from runner.files.atomic import replacing
from runner.tasks.means import of_all_processes
from runner.training.epoch_line import epoch_line
from runner.training.history import History
from runner.training.interrupt import OutOfTime
from runner.training.ranking import (
    average,
    file_of,
    load_checkpoint,
    ranked,
    read_ranking,
    save_ranked,
    save_weights_of,
)

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


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in `folder` that can be read; log a warning for one that cannot.

    None means that there is no checkpoint yet: the run ended before its first one.

    Raises:
        UserError: there are checkpoints, but none can be read.
    """
    found = [path for name in ("last.ckpt", "previous.ckpt") if (path := folder / name).exists()]
    for path in found:
        try:
            load_checkpoint(path)
        except UserError as error:
            log.warning("%s", error)
        except Exception as error:  # whatever a damaged file makes the reader raise
            log.warning("%s is damaged (%s)", path, type(error).__name__)
        else:
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


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """All callbacks of a trainer, which has them without declaring it."""
    return trainer.callbacks  # type: ignore[attr-defined]


class AtomicWriter(CheckpointIO):
    """Writes checkpoints in the background; at any instant the folder holds a complete one.

    The caller only waits for a copy of the tensors. `storage_options={"best": True}` also makes the file the best one.
    """

    def __init__(self):
        self.thread: threading.Thread | None = None
        self.error: Exception | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        self.wait()
        own = storage_options is not None
        best = own and bool(storage_options.get("best"))
        self.thread = threading.Thread(target=self.write, args=(copied(checkpoint) | {"best": best}, Path(path), own))
        self.thread.start()

    def write(self, checkpoint: dict, path: Path, own: bool = True) -> None:
        """Write the last checkpoint, which becomes the previous one with the next, and then the best weights."""
        try:
            if not own:  # of another callback, in a folder of its own
                path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, older=path.with_name("previous.ckpt")) as file:
                torch.save(checkpoint, file)
            if checkpoint["best"]:
                save_best(checkpoint, path.parent)
            if own:
                save_ranked(checkpoint, path.parent)
        except Exception as error:  # of this thread: `wait` raises it in the training
            self.error = error

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


def save_best(checkpoint: dict, folder: Path) -> None:
    """Write the weights of a checkpoint as the best ones."""
    save_weights_of(checkpoint, folder / "best.ckpt")


def tidy(folder: Path, keep: str) -> None:
    """Remove the checkpoints of a finished run that are no longer needed, and log which are kept.

    Args:
        folder: `checkpoints/` of the run.
        keep: as in `Checkpoint`.
    """
    for name in ("previous", "last") if keep == "best" else ("previous",):
        (folder / f"{name}.ckpt").unlink(missing_ok=True)
    purposes = {"last": "to train it longer", "best": "the best weights"}
    kept = [(folder / f"{name}.ckpt", purpose) for name, purpose in purposes.items()]
    kept += [(folder / file_of(entry), f"place {place}") for place, entry in enumerate(read_ranking(folder), start=1)]
    told = [f"{path.name} ({path.stat().st_size / 1e6:.1f} MB, {why})" for path, why in kept if path.exists()]
    if told:
        log.info("kept in checkpoints/: %s", ", ".join(told))


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
        keep: what a finished run keeps: "resume" = the best weights and what training it longer needs, "best" = the
            best weights alone. Until then everything that resuming needs is there.
        top_k: of how many of the best epochs the weights are kept, at least 1; see `runner.training.ranking`.
        average: whether the mean of these weights is what is tested and used, in place of the best.
        stop_after_minutes: after this many minutes of training the run saves a checkpoint and ends, above 0, to be
            continued with resume=; None = never.

    Raises:
        UserError: an average of one is asked for.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        every_n_steps: int | None = None,
        every_n_minutes: float | None = None,
        keep: Literal["resume", "best"] = "resume",
        top_k: int = 1,
        average: bool = False,
        stop_after_minutes: float | None = None,
    ):
        if average and top_k < 2:
            raise UserError("callbacks.checkpoint.average=true needs several weights: callbacks.checkpoint.top_k=5")
        self.monitor = monitor
        self.mode = mode
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.keep = keep
        self.top_k = top_k
        self.average = average
        self.stop_after_minutes = stop_after_minutes
        self.ranking: list[dict] = []
        self.measured: tuple[int, dict[str, float]] = (-1, {})  # step and metrics of the last validation
        self.began, self.first_step = time.monotonic(), 0
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
            self.rank(trainer, score)
            best = self.best_score
            if best is not None and not math.isnan(best) and not (score < best if self.mode == "min" else score > best):
                return False
        else:
            self.rank(trainer, None)
        self.best_score, self.best_epoch = score, trainer.current_epoch
        return True

    def rank(self, trainer: Trainer, score: float | None) -> None:
        """Put this epoch in its place among the best few."""
        step, metrics = self.measured
        found: dict[str, Any] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, "score": score}
        found["metrics"] = metrics if step == trainer.global_step else {}  # else of other weights
        self.ranking = ranked(self.ranking, found, self.mode, self.top_k)

    def time_is_over(self, trainer: Trainer) -> bool:
        """Whether one of the processes, whose clocks differ, has trained for as long as it may, but at least a step."""
        if self.stop_after_minutes is None or trainer.global_step == self.first_step:
            return False
        late = time.monotonic() - self.began >= 60 * self.stop_after_minutes
        return trainer.strategy.reduce_boolean_decision(late, all=False)

    def end_the_run(self, trainer: Trainer) -> None:
        """End a run whose time is over, once its checkpoint is on the disk."""
        trainer.strategy.checkpoint_io.teardown()
        raise OutOfTime

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit":
            return
        if self.monitor is not None and self.monitor.startswith("val/"):
            self.score = monitored(self.monitor, trainer.callback_metrics)
        if self.top_k > 1:
            known = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
            self.measured = trainer.global_step, known

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        best = self.is_best(trainer)
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}".removesuffix("/-1")
        note = " best" if best and self.monitor else ""
        log.info(epoch_line(epoch, trainer.callback_metrics, self.monitor, note))
        self.save(trainer, best=best)

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        steps, minutes = self.every_n_steps, self.every_n_minutes
        due = steps and trainer.global_step - self.saved_step >= steps
        if minutes:  # the clocks of several processes differ
            late = time.monotonic() - self.saved_at >= 60 * minutes
            due = trainer.strategy.reduce_boolean_decision(late, all=False) or due
        over = self.time_is_over(trainer)
        if (due or over) and can_save(trainer):
            self.save(trainer)
            if over:
                self.end_the_run(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.time_is_over(trainer):  # the epoch before was saved at its end
            self.end_the_run(trainer)

    def state_dict(self) -> dict:
        return {"best_score": self.best_score, "best_epoch": self.best_epoch, "score": self.score}

    def load_state_dict(self, state_dict: dict) -> None:
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]
        self.score = state_dict["score"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        checkpoint["random_states"] = of_all_processes(random_state())
        loader: Any = trainer.train_dataloader
        checkpoint["train_loader"] = loader.state_dict()
        checkpoint["history"] = trainer.logger.history if isinstance(trainer.logger, History) else []
        checkpoint["about"] = self.about
        checkpoint["ranking"] = self.ranking

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        self.ranking = checkpoint.get("ranking", [])
        if trainer.is_global_zero:  # the run may have been killed right before that
            folder = Path(trainer.default_root_dir, "checkpoints")
            if checkpoint["best"]:
                save_best(checkpoint, folder)
            save_ranked(checkpoint, folder)
        self.restored = checkpoint["random_states"][trainer.global_rank], checkpoint["train_loader"]
        if isinstance(trainer.logger, History):
            trainer.logger.replay(checkpoint["history"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved_at, self.saved_step = time.monotonic(), trainer.global_step
        self.began, self.first_step = self.saved_at, self.saved_step
        if self.restored is not None:  # as late as possible: no random number may be drawn before the first step
            if trainer.fit_loop.restarted_mid_epoch:  # Lightning leaves this out, and with it what it sets for an epoch
                for callback in callbacks_of(trainer):
                    callback.on_train_epoch_start(trainer, pl_module)
            random_numbers, progress = self.restored
            set_random_state(random_numbers)
            loader: Any = trainer.train_dataloader
            # Lightning restores the loader itself, unless a schedule has already asked for the number of steps.
            loader.load_state_dict(progress)
            self.restored = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for callback in callbacks_of(trainer):  # this one writes its average into the net only now; we come last
            if isinstance(callback, StochasticWeightAveraging) and trainer.current_epoch > callback.swa_end:
                log.info("the averaged weights are kept")
                self.best_score, self.best_epoch = None, trainer.current_epoch
                self.save(trainer, best=True)
        if self.average and self.ranking and trainer.is_global_zero:
            trainer.strategy.checkpoint_io.teardown()  # waits until all of them are written
            folder = Path(trainer.default_root_dir, "checkpoints")
            save_best(average(folder, self.ranking), folder)
            epochs = ", ".join(str(entry["epoch"]) for entry in self.ranking)
            log.info("the average of the weights after epochs %s is kept", epochs)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.restored is not None:  # killed after its last epoch: Lightning leaves out the end of the training too
            self.restored = None
            for callback in callbacks_of(trainer):
                callback.on_train_end(trainer, pl_module)
