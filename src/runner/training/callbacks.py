"""What happens around the steps: stopping early, stopping on a signal, showing progress."""

import logging
import signal
import time
from typing import Any, Literal, cast

from omegaconf import DictConfig
from pytorch_lightning import Callback, LightningModule, Trainer, callbacks
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn

from runner.config.instances import instance
from runner.errors import UserError
from runner.files.progress import Wait, foot
from runner.tasks.loop import Loop
from runner.training.checkpoint import Checkpoint, callbacks_of, can_save, monitored
from runner.training.interrupt import Interrupt
from runner.training.warm_start import normalising

log = logging.getLogger(__name__)

# Lightning's callbacks that do what a run does anyway or in another way: what to do instead.
INSTEAD: dict[type[Callback], str] = {
    callbacks.ProgressBar: "a run shows its own progress on a terminal",
    callbacks.LearningRateFinder: "type lr_find=true",
    callbacks.BatchSizeFinder: "type find_batch_size=true",
    callbacks.BackboneFinetuning: "type freeze=[PATTERN], such as freeze=[embedding.*], or unfreeze={PATTERN:EPOCH}",
    callbacks.OnExceptionCheckpoint: "every run saves checkpoints, and resume=last continues one that failed",
}
FORGETFUL = (callbacks.ModelPruning, callbacks.SpikeDetection)  # their state does not come back from a checkpoint


def build_callbacks(nodes: DictConfig, resuming: bool) -> list[Callback]:
    """Return the callbacks of the configuration.

    Args:
        nodes: `callbacks` of the configuration, by name; None = left out.
        resuming: whether the training continues from a checkpoint.

    Raises:
        UserError: one of them cannot be used here.
    """
    keys = {f"callbacks.{name!s}": node for name, node in nodes.items() if node is not None}
    made = {key: instance(node, key) for key, node in keys.items()}
    for name, callback in made.items():
        kind = type(callback).__name__
        for one, advice in INSTEAD.items():
            if isinstance(callback, one):
                raise UserError(f"{name}: {kind} cannot be used here; {advice}. Leave {name} out.")
        if resuming and isinstance(callback, FORGETFUL):
            raise UserError(
                f"{name}: a run cannot be resumed exactly with {kind}, since no checkpoint holds all that it "
                f"remembers; to continue without it type {name}=null"
            )
    return list(made.values())


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
            trainer.should_stop = True
        else:
            self.stopping_reason_message = None


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


class Unfreeze(Callback):
    """Lets parameters learn from a certain epoch on; a normalisation layer adapts when its own parameters do.

    They are in the optimizer from the beginning, without a gradient until then, so a resumed run finds its state.

    Args:
        first: the epoch, counted from 1, in which each of some parameters begins to learn.
    """

    def __init__(self, first: dict[Tensor, int]):
        self.first = first

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        strategy = trainer.strategy
        unused = isinstance(strategy, DDPStrategy) and strategy._ddp_kwargs.get("find_unused_parameters")
        if self.first and not unused and not isinstance(strategy, SingleDeviceStrategy):
            raise UserError("unfreeze= in several processes needs trainer.strategy=ddp_find_unused_parameters_true")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        for parameter, first in self.first.items():
            parameter.requires_grad_(epoch >= first)
        for net in cast(Loop, pl_module).trained() if self.first else ():
            for layer, own in normalising(net):
                if any(each in self.first for each in own):
                    layer.train(any(each.requires_grad for each in own))
        if begins := sum(first == epoch for first in self.first.values()):
            log.info("epoch %d: %d more parameter%s learn%s", epoch, begins, "s" * (begins > 1), "s" * (begins == 1))


class Compiled(Callback):
    """Lets torch.compile translate the net's forward pass for the time of the training; the weights keep their names.

    Args:
        backend: what it is translated by: inductor (needs a C++ compiler, on a GPU Triton), aot_eager, eager ...
    """

    def __init__(self, backend: str = "inductor"):
        self.backend = backend

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.net.compile(backend=self.backend)

    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.net._compiled_call_impl = None  # what is evaluated and stored is the plain net


class ShowProgress(Callback):
    """Shows how far an epoch is and the loss, measures the training speed, and says why a training ended early."""

    def __init__(self):
        self.wait = Wait("")
        self.started_at: float | None = None  # start of the training steps since the last validation
        self.samples = 0
        self.seconds = 0.0

    @property
    def samples_per_second(self) -> float:
        """Training examples per second, without validation and checkpoints."""
        return self.samples / self.seconds if self.seconds else 0.0

    def open(self, text: str, total: int | float) -> None:
        self.wait = Wait(text, total, counts=True)
        foot.show(self.wait)

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
        self.wait.done, self.wait.note = batch_idx + 1, cast(Loop, pl_module).newest

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.stop_clock()
        self.open("validation", sum(trainer.num_val_batches))

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *rest: Any
    ) -> None:
        self.wait.done = batch_idx + 1

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        foot.show(None)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.open("test", sum(trainer.num_test_batches))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what ended the training before its last epoch."""
        foot.show(None)
        for callback in callbacks_of(trainer):
            if isinstance(callback, callbacks.Timer) and (left := callback.time_remaining()) is not None and left <= 0:
                log.info("stopped in epoch %d: trainer.max_time is over", trainer.current_epoch)
            if isinstance(callback, callbacks.EarlyStopping) and (reason := callback.stopping_reason_message):
                said = reason.removesuffix(" Signaling Trainer to stop.")
                log.info("stopped early after epoch %d. %s", trainer.current_epoch, said)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        foot.show(None)

    on_test_batch_end = on_validation_batch_end  # type: ignore[assignment]  # Lightning's two signatures differ
    on_test_epoch_end = on_validation_epoch_end
