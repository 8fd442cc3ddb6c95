"""What happens around the steps: stopping early, stopping on a signal, showing progress."""

import logging
import sys
import time
from typing import Any, Literal

from pytorch_lightning import Callback, LightningModule, Trainer, callbacks
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runner.interrupt import Interrupt

log = logging.getLogger(__name__)


class EarlyStopping(callbacks.EarlyStopping):
    """Stops when the monitored validation metric has not improved for some epochs.

    Args:
        monitor: name of the validation metric; None = never stop early.
        mode: whether smaller ("min") or larger ("max") values are better.
        patience: epochs without improvement; None = never stop early.
        min_delta: smallest change that counts as an improvement.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        patience: int | None = 10,
        min_delta: float = 0.0,
    ):
        self.enabled = monitor is not None and patience is not None
        super().__init__(monitor or "none", mode=mode, patience=patience or 0, min_delta=min_delta)

    def _should_skip_check(self, trainer: Trainer) -> bool:
        return not self.enabled or super()._should_skip_check(trainer)


class StopOnSignal(Callback):
    """When a signal has come, saves a checkpoint at the end of the step and ends the run.

    Args:
        interrupt: remembers the signal.
    """

    def __init__(self, interrupt: Interrupt):
        self.interrupt = interrupt

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.interrupt.training = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.interrupt.received is not None:
            trainer.checkpoint_callback.save(trainer)
            trainer.strategy.checkpoint_io.wait()
            self.interrupt.raise_if_asked()

    def on_validation_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        self.interrupt.raise_if_asked()  # the checkpoint before this validation is the one to go on from

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.interrupt.training = False
        self.interrupt.raise_if_asked()


class ShowProgress(Callback):
    """A bar while an epoch runs, on a terminal; one line in the log when it ends; and the training speed.

    The bar is redrawn four times a second at most, so that it costs no step anything.
    """

    def __init__(self):
        self.bar: Progress | None = None
        self.drawn_at = 0.0
        self.started_at = 0.0
        self.samples = 0
        self.seconds = 0.0

    @property
    def samples_per_second(self) -> float:
        """Examples trained on a second, validation and checkpoints left out."""
        return self.samples / self.seconds if self.seconds else 0.0

    def open(self, text: str, total: int | float) -> None:
        if sys.stdout.isatty():
            columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
            self.bar = Progress(*columns, auto_refresh=False, transient=True)
            self.bar.start()
            self.bar.add_task(text, total=total)

    def advance(self, done: int) -> None:
        if self.bar is not None and time.monotonic() - self.drawn_at > 0.25:
            self.bar.update(self.bar.task_ids[0], completed=done, refresh=True)
            self.drawn_at = time.monotonic()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.open(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", trainer.num_training_batches)
        self.started_at = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.samples += len(batch[-1]) * trainer.world_size
        if trainer.is_last_batch:
            self.seconds += time.perf_counter() - self.started_at
        self.advance(batch_idx + 1)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.close()
        self.open("validation", sum(trainer.num_val_batches))

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *rest: Any
    ) -> None:
        self.advance(batch_idx + 1)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.close()

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.open("test", sum(trainer.num_test_batches))

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *rest: Any
    ) -> None:
        self.advance(batch_idx + 1)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.close()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.close()
