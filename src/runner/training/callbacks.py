"""What happens around the steps: stopping early, stopping on a signal, showing progress."""

import logging
import signal
import sys
import time
from typing import Any, Literal, cast

from pytorch_lightning import Callback, LightningModule, Trainer, callbacks
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from runner.tasks.loop import Loop
from runner.training.checkpoint import Checkpoint, can_save, monitored
from runner.training.interrupt import Interrupt

log = logging.getLogger(__name__)


class EarlyStopping(callbacks.EarlyStopping):
    """Stops when the monitored validation metric has not improved for some epochs.

    Args:
        monitor: name of the validation metric; None = never stop early.
        mode: whether smaller ("min") or larger ("max") values are better.
        patience: epochs without improvement, at least 0; None = never stop early.
        min_delta: smallest change that counts as an improvement, at least 0.
    """

    state_key = "early_stopping"  # of a checkpoint; Lightning would build a name from all arguments, in every hook

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

    def _validate_condition_metric(self, logs: dict[str, Any]) -> bool:
        if self.monitor.startswith("val/") and not any(name.startswith("val/") for name in logs):
            return False  # there has been no validation yet
        monitored(self.monitor, logs)
        return True

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"patience": self.patience})  # a resumed run may have been given more

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.enabled and self.wait_count >= max(1, self.patience):  # it had stopped before it was interrupted
            epoch = self.stopped_epoch + 1
            log.info("stopped early in epoch %d already; callbacks.early_stopping.patience lets it continue", epoch)
            trainer.should_stop = True


class StopOnSignal(Callback):
    """After a signal, saves a checkpoint at the end of the step or of the validation, and ends the run."""

    def __init__(self, interrupt: Interrupt):
        self.interrupt = interrupt
        self.told = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.interrupt.install()  # Lightning has installed its own handler, which ends the run unsaved, with code 0
        self.interrupt.training = True

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        if self.asked(trainer) and can_save(trainer):
            if isinstance(trainer.checkpoint_callback, Checkpoint):
                trainer.checkpoint_callback.save(trainer)
            self.end(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        if self.interrupt.received is not None and not self.told:
            log.info("stopping after this validation; press Ctrl-C again to stop immediately")
            self.told = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.asked(trainer):  # the previous epoch was saved at its end
            self.end(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.interrupt.training = False
        if self.asked(trainer):
            self.end(trainer)

    def asked(self, trainer: Trainer) -> bool:
        """Whether any of the processes has received a signal: all of them have to stop at the same step."""
        asked = trainer.strategy.reduce_boolean_decision(self.interrupt.received is not None, all=False)
        if asked and self.interrupt.received is None:
            self.interrupt.received = signal.SIGTERM
        return asked

    def end(self, trainer: Trainer) -> None:
        """Wait until the checkpoint is on the disk, and end the run."""
        trainer.strategy.checkpoint_io.teardown()
        self.interrupt.raise_if_asked()


class KeepStatistics(Callback):
    """Keeps frozen normalisation layers from adapting to the batches they see."""

    def __init__(self, layers: list[nn.Module]):
        self.layers = layers

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for layer in self.layers:
            layer.eval()


class ShowProgress(Callback):
    """Shows a progress bar during an epoch, on a terminal, and measures the training speed.

    The bar is redrawn at most four times a second, so that it does not slow down the steps.
    """

    def __init__(self):
        self.bar: Progress | None = None
        self.drawn_at = 0.0
        self.started_at: float | None = None  # start of the training steps since the last validation
        self.samples = 0
        self.seconds = 0.0

    @property
    def samples_per_second(self) -> float:
        """Training examples per second, without validation and checkpoints."""
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

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self.started_at is None:
            self.started_at = time.perf_counter()

    def stop_clock(self) -> None:
        if self.started_at is not None:
            self.seconds += time.perf_counter() - self.started_at
            self.started_at = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.samples += cast(Loop, pl_module).rows(batch) * trainer.world_size
        if trainer.is_last_batch:
            self.stop_clock()
        self.advance(batch_idx + 1)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.stop_clock()
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

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.close()

    on_test_batch_end = on_validation_batch_end  # type: ignore[assignment]  # Lightning's two signatures differ
    on_test_epoch_end = on_fit_end = on_validation_epoch_end
