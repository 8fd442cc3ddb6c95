"""How Lightning trains an objective: steps, running means, optimizers, what a checkpoint holds besides weights."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MetricCollection

from runner.augment import Augmentation
from runner.config.instances import refusals
from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.optim.build import learning_rate
from runner.optim.regularise import Regulariser
from runner.tasks.means import RunningMeans, Scalars, less, of_all_processes, value_of


class Loop(LightningModule):
    """The training loop of an objective, which `runner.tasks.base.Task` completes with what it says about itself.

    Args:
        net: the module that is trained.
    """

    monitor: str | None = (
        "val/loss"  # the validation metric that picks the best checkpoint; None = the last one is kept
    )
    mode: str = "min"  # whether the smallest ("min") or the largest ("max") value of `monitor` is the best

    def __init__(self, net: Any):
        super().__init__()
        self.net = net
        self.optimizer: Callable | None = None  # builds the optimizer from the net (see `runner.optim.build`)
        self.schedule: Callable | None = None  # builds the schedule from the optimizer (see `runner.optim.schedules`)
        self.augment: Augmentation | None = None  # changes training batches
        self.regularise: Regulariser | None = None  # adds penalties to the loss
        self.gradient_clip: tuple[float | None, str] = (None, "norm")
        self.metrics = MetricCollection({})  # those that are not means over examples; filled by subclasses
        self.training_means = RunningMeans()
        self.evaluation_means = RunningMeans()
        self.newest = ""  # the loss of the last steps, for the eye

    def equip(
        self,
        optimizer: Callable | None = None,
        schedule: Callable | None = None,
        monitor: str | None = "val/loss",
        mode: str = "min",
        augment: Augmentation | None = None,
        regularise: Regulariser | None = None,
    ) -> None:
        """Take the settings that every objective gets from the configuration.

        Raises:
            UserError: the objective cannot use one of them.
        """
        if mode not in ("min", "max"):
            raise UserError(f"task.mode is min or max, received {mode!r}")
        for name, given in (("augment", augment), ("regularise", regularise)):
            if given is not None and not self.by_gradient:
                raise UserError(f"{name}: {type(self).__name__} fits without training steps, so it cannot use it")
        self.optimizer, self.schedule, self.monitor, self.mode = optimizer, schedule, monitor, mode
        self.augment, self.regularise = augment, regularise

    # Described in `runner.tasks.base.Task`.

    by_gradient = True  # whether it learns by steps of an optimizer; False = it fits in one call

    def step(self, batch: Any) -> Scalars:
        """Return the scalars of one batch."""
        raise NotImplementedError(f"{type(self).__name__} has to define step(batch)")

    def evaluation_step(self, batch: Any) -> Scalars:
        """Return the scalars of one validation or test batch and update `self.metrics`."""
        return self.step(batch)

    def rows(self, batch: Any) -> int:
        """How many examples a batch holds."""
        return len(batch[-1])

    def training_state(self) -> dict:
        """What training has to remember besides weights and optimizers, plain containers and tensors."""
        return {}

    def load_training_state(self, state: dict) -> None:
        """Restore what `training_state` returned."""

    # What Lightning's trainer has without declaring it.

    @property
    def data_module(self) -> DataModule:
        """The data that is trained on."""
        return self.trainer.datamodule  # type: ignore[attr-defined]

    @property
    def window(self) -> int:
        """Steps between two points of the training curve."""
        return self.trainer.log_every_n_steps  # type: ignore[attr-defined]

    # Optimizers and schedules.

    def trained(self) -> list[nn.Module]:
        """The nets that learn: one, unless an objective compares several."""
        return [self.net]

    def configure_model(self) -> None:
        """Let a strategy that shares out the weights (`runner.training.sharding`) do so."""
        if hasattr(self.trainer.strategy, "share") and self.trainer.state.fn == "fit":
            self.trainer.strategy.share(self)

    def configure_optimizers(self) -> Any:
        return self.optimized(self.net)

    def optimized(self, trained: nn.Module | Iterable[Tensor]) -> Any:
        """Return what Lightning expects for a net or some parameters: the optimizer, and its schedule if any."""
        assert self.optimizer is not None, "equip() comes first"
        return self.with_schedule(self.optimizer(trained))

    def with_schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        """Return what Lightning expects: the optimizer, with its learning-rate schedule if it has one."""
        if self.schedule is None:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        with refusals(self.schedule, "schedule"):
            scheduler = self.schedule(optimizer, total_steps=steps, steps_per_epoch=self.trainer.num_training_batches)
        if scheduler is None:
            return optimizer
        if not isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
        if self.monitor is None or not self.automatic_optimization:
            raise UserError("schedule=plateau watches task.monitor, and this task has none. Choose another schedule.")
        how = {"scheduler": scheduler, "interval": "epoch", "monitor": self.monitor}
        if self.monitor.startswith("val/"):
            how |= {"frequency": self.trainer.check_val_every_n_epoch or 1, "strict": False}  # known after a validation
        return {"optimizer": optimizer, "lr_scheduler": how}

    def all_optimizers(self) -> list:
        """The optimizers, for objectives that step them themselves."""
        found = self.optimizers()
        return list(found) if isinstance(found, list | tuple) else [found]

    def schedules(self) -> list:
        """The learning-rate schedules, for objectives that step their optimizers themselves."""
        found = self.lr_schedulers()
        return found if isinstance(found, list) else [found] if found else []

    def clip(self, optimizer: Any) -> None:
        """Clip the gradients as the trainer's settings say, for objectives that step their optimizers themselves."""
        largest, algorithm = self.gradient_clip
        if largest:
            self.clip_gradients(optimizer, gradient_clip_val=largest, gradient_clip_algorithm=algorithm)

    def update(self, optimizer: Any, loss: Tensor) -> Tensor:
        """Take one step of an optimizer, for objectives that step their optimizers themselves; return the loss."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip(optimizer)
        optimizer.step()
        self.limit_weights()
        return loss

    # Training.

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        scalars = self.step(batch)
        loss = value_of(scalars["loss"])
        if "penalty" in scalars:  # the net's own is minimised as part of the loss, which is reported without it
            scalars["loss"] = less(scalars["loss"], value_of(scalars["penalty"]))
        if self.regularise is not None and self.regularise.penalises:
            added = self.regularise.penalty(self.net)
            loss = loss + added
            scalars["penalty"] = value_of(scalars["penalty"]) + added if "penalty" in scalars else added
        self.training_means.add(scalars, self.rows(batch))
        return loss

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        if self.regularise is not None and self.regularise.penalises:
            loss = loss + self.regularise.penalty(self.net)
        super().manual_backward(loss, *args, **kwargs)

    def on_fit_start(self) -> None:
        if self.augment is not None:
            self.augment.connect(self.data_module)
        if self.regularise is not None:
            self.regularise.attach(self.net)

    def on_fit_end(self) -> None:
        if self.regularise is not None:
            self.regularise.detach()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch if self.augment is None or not self.training else self.augment(batch)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable | None = None
    ) -> None:
        optimizer.step(closure=optimizer_closure)
        self.limit_weights()

    def limit_weights(self) -> None:
        """Keep the weights within their limits, right after a step: a checkpoint holds what the next step sees."""
        if self.regularise is not None:
            self.regularise.limit()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % self.window == 0:
            self.close_window()

    def close_window(self) -> None:
        """Log the means since the last point of the training curve."""
        means = self.training_means.close()
        self.refuse_lost(means)
        shown = [f"{name} {value:.4g}" for name, value in means.items() if "loss" in name]
        self.newest = ", ".join(shown) or self.newest
        if means and self.trainer.logger:
            self.trainer.logger.log_metrics(
                {f"train/{name}_step": value for name, value in means.items()}
                | {"train/lr": learning_rate(self.trainer.optimizers[0])},
                step=self.trainer.global_step,
            )

    def refuse_lost(self, means: dict[str, float]) -> None:
        """End a training that has diverged.

        Raises:
            UserError: a mean is not a finite number.
        """
        lost = [name for name, value in means.items() if not math.isfinite(value)]
        if lost:
            raise UserError(
                f"{', '.join(lost)} became {means[lost[0]]} at step {self.trainer.global_step}: the training has "
                "diverged. Lower optim.lr or set trainer.gradient_clip_val=1."
            )

    def on_train_epoch_end(self) -> None:
        self.close_window()
        self.report("train", self.training_means.pop())

    # Validation and test.

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.evaluation_means.add(self.evaluation_step(batch), self.rows(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_start(self) -> None:
        self.metrics.reset()
        self.evaluation_means = RunningMeans()

    def on_test_epoch_start(self) -> None:
        self.on_validation_epoch_start()

    def on_validation_epoch_end(self) -> None:
        self.report("val", self.evaluation_metrics())

    def on_test_epoch_end(self) -> None:
        self.report("test", self.evaluation_metrics())

    def evaluation_metrics(self) -> dict[str, float]:
        """Return the metrics of the split that has just been evaluated."""
        means = self.evaluation_means.pop()
        return means | {name: float(value) for name, value in self.metrics.compute().items()}

    def report(self, split: str, values: dict[str, float]) -> None:
        """Pass the metrics of an epoch to the callbacks (early stopping, checkpoints) and to the record of the run.

        The record gets a name once a step, the epoch at its end: a resumed run leaves out the steps that are there.
        """
        values = {f"{split}/{name}": value for name, value in values.items()}
        self.log_dict(values, logger=False)
        epoch = {"epoch": self.current_epoch + 1} if split == "train" else {}
        if self.trainer.logger and self.trainer.state.fn == "fit":
            self.trainer.logger.log_metrics(values | epoch, step=self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        if (self.trainer.fit_loop.batch_idx + 1) % self.window == 0:
            self.close_window()  # as `on_train_batch_end` is about to do
        self.refuse_lost(self.training_means.waiting())
        checkpoint["training_means"] = of_all_processes(self.training_means.state_dict())
        checkpoint["training_state"] = of_all_processes(self.training_state())

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        before, now = len(checkpoint["training_means"]), self.trainer.world_size
        if before != now:
            raise UserError(
                f"the run has trained in {before} processes, received {now}: each has its own share of the batches. "
                "Resume it with the same trainer.devices and trainer.num_nodes"
            )
        self.training_means.load_state_dict(checkpoint["training_means"][self.global_rank])
        self.load_training_state(checkpoint["training_state"][self.global_rank])

    # The rest only reduces Lightning's overhead in a step: for a small net it is most of the step.

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def _apply_batch_transfer_handler(
        self, batch: Any, device: torch.device | None = None, dataloader_idx: int = 0
    ) -> Any:
        if device is not None and device.type == "cpu":
            return self.on_after_batch_transfer(batch, dataloader_idx)  # it is there already
        return super()._apply_batch_transfer_handler(batch, device, dataloader_idx)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":  # set about forty times a step, each time through torch's search for parameters
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)


# Lightning inspects the signature before every step; storing it saves that work.
setattr(Loop.training_step, "__signature__", inspect.signature(Loop.training_step))  # noqa: B010, mypy knows no such attribute
