"""A training step without Lightning's overhead, for the usual case: one device, full precision, one loss.

In every step Lightning makes about forty checks whose results stay the same for a whole run (which callbacks do
anything here, is there a profiler, are gradients scaled or accumulated, is another process waiting?). For a small net
that takes half the time. Here they are made once an epoch, and the rest of the step is written out.
"""

from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from runner.tasks.loop import Loop
from runner.training.lightning import NoProfiler

HOOKS = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
         "on_before_optimizer_step", "on_train_batch_end")  # fmt: skip
# What an objective must not override, since it is left out or written out here.
LEFT_OUT = ("on_train_batch_start", "on_before_batch_transfer", "backward", "configure_gradient_clipping")
WRITTEN_OUT = ("training_step", "optimizer_step")


def redefines(owner: Any, name: str, base: type) -> bool:
    """Whether an object overrides the hook `name` of its base class."""
    return name in vars(owner) or getattr(type(owner), name) is not getattr(base, name)


class Steps(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch; usually with the step written here, equal bit for bit."""

    usual = False

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        super().on_run_start(data_fetcher)
        trainer: Any = self.trainer  # sets some of its attributes where no type can be seen
        task = self.trainer.lightning_module
        self.usual = (
            task.automatic_optimization
            and not any(redefines(task, name, Loop) for name in WRITTEN_OUT)
            and not any(redefines(task, name, LightningModule) for name in LEFT_OUT)
            and not redefines(trainer.datamodule or task, "on_before_batch_transfer", LightningModule)
            and type(trainer.strategy) is SingleDeviceStrategy
            and type(trainer.precision_plugin) is Precision
            and trainer.accumulate_grad_batches == 1
            and isinstance(trainer.profiler, NoProfiler)
            and isinstance(data_fetcher, _PrefetchDataFetcher)
        )
        self.hooks = {
            name: [getattr(callback, name) for callback in trainer.callbacks if redefines(callback, name, Callback)]
            for name in HOOKS
        }
        self.own = {name: getattr(task, name) for name in HOOKS if redefines(task, name, LightningModule)}

    def advance(self, data_fetcher: _DataFetcher) -> None:
        if self.restarting or not self.usual:
            super().advance(data_fetcher)
            return
        trainer, task = self.trainer, cast(Loop, self.trainer.lightning_module)
        batch, _, _ = next(data_fetcher)
        number = self.batch_idx + 1
        self.batch_progress.is_last_batch = data_fetcher.done
        batch = task._apply_batch_transfer_handler(batch, device=trainer.strategy.root_device)
        self.batch_progress.increment_ready()
        trainer._logger_connector.on_batch_start(batch)
        self.call("on_train_batch_start", batch, number)
        self.batch_progress.increment_started()

        loss = self.optimise(trainer, task, batch, number)

        self.batch_progress.increment_processed()
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self.call("on_train_batch_end", {"loss": loss}, batch, number)
        self.batch_progress.increment_completed()
        if next(iter(self._results.valid_items()), None) is not None:  # something was logged in this step
            trainer._logger_connector.on_batch_end()
            trainer._logger_connector.update_train_step_metrics()
        self._results.batch = self._results.batch_size = None

    def optimise(self, trainer: Trainer, task: Loop, batch: Any, number: int) -> Tensor:
        """Take one step of the optimizer; return the loss before it."""
        progress, optimizer = self.automatic_optimization.optim_progress.optimizer, trainer.optimizers[0]
        result: list[Tensor] = []

        def closure() -> Tensor:
            task._current_fx_name = "training_step"
            loss = task.training_step(batch, number)
            assert loss is not None, "an objective without a loss steps by itself"
            result.append(loss.detach())
            progress.zero_grad.increment_ready()
            self.call("on_before_zero_grad", optimizer)
            progress.zero_grad.increment_started()
            task.optimizer_zero_grad(trainer.current_epoch, number, optimizer)
            progress.zero_grad.increment_completed()
            self.call("on_before_backward", loss)
            loss.backward()
            self.call("on_after_backward")
            self.call("on_before_optimizer_step", optimizer)
            if trainer.gradient_clip_val is not None:
                task.clip_gradients(optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
            return result[-1]

        progress.step.increment_ready()
        task._current_fx_name = "optimizer_step"
        task.optimizer_step(trainer.current_epoch, number, optimizer, closure)
        progress.step.increment_completed()
        return result[-1]

    def call(self, name: str, *arguments: Any) -> None:
        """Run a hook of all callbacks that have it, then the objective's own."""
        trainer, task = self.trainer, self.trainer.lightning_module
        task._current_fx_name = name
        for hook in self.hooks[name]:
            hook(trainer, task, *arguments)
        if name in self.own:
            self.own[name](*arguments)
        task._current_fx_name = None
