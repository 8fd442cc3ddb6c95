"""What all training objectives share: the steps, their running means, the optimizer, and what a run asks of an
objective.

A subclass writes `step(batch) -> {name: scalar}` and, where needed, `inputs`, `evaluation_step`, `predict` and
`figures`.
"""

import gc
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torchmetrics import MetricCollection

from runner.errors import UserError


class RunningMeans:
    """Means of named scalars weighted by the size of each batch; nothing is computed until they are asked for."""

    def __init__(self):
        self.pending: list[tuple[dict[str, Tensor], int]] = []
        self.sums: dict[str, float] = {}
        self.weight = 0

    def add(self, scalars: dict[str, Tensor], weight: int) -> None:
        self.pending.append(({name: value.detach() for name, value in scalars.items()}, weight))

    def close(self) -> dict[str, float]:
        """Take what is pending into the sums, in one transfer from the device, and return its means alone."""
        if not self.pending:
            return {}
        names = list(self.pending[0][0])
        weights = torch.tensor([weight for _, weight in self.pending], dtype=torch.float64)  # (N,)
        sums = weights @ self.values(names).double()  # (names,)
        total = float(weights.sum())
        self.pending = []
        self.weight += int(total)
        for name, value in zip(names, sums.tolist(), strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + value
        return {name: value / total for name, value in zip(names, sums.tolist(), strict=True)}

    def waiting(self) -> dict[str, float]:
        """Plain sums of what is pending: finite if all of it is."""
        if not self.pending:
            return {}
        names = list(self.pending[0][0])
        return dict(zip(names, self.values(names).double().sum(dim=0).tolist(), strict=True))

    def values(self, names: list[str]) -> Tensor:
        """What is pending, (N, names), on the processor."""
        found = [scalars[name] for scalars, _ in self.pending for name in names]
        device = found[-1].device  # what a checkpoint has brought lies on the processor
        return torch.stack([value.to(device, torch.float32) for value in found]).cpu().view(-1, len(names))

    def pop(self) -> dict[str, float]:
        """Return the means over all processes since the last call, and start anew."""
        self.close()
        names, totals = list(self.sums), torch.tensor([*self.sums.values(), self.weight], dtype=torch.float64)
        self.sums, self.weight = {}, 0
        *sums, weight = sum_over_processes(totals).tolist()
        return {name: value / weight for name, value in zip(names, sums, strict=True)}

    def state_dict(self) -> dict:
        """Everything, pending or not: a checkpoint changes nothing, not even the order of additions."""
        names = list(self.pending[0][0]) if self.pending else []
        values, weights = self.values(names) if names else None, [weight for _, weight in self.pending]
        pending = {"names": names, "values": values, "weights": weights}
        return {"sums": dict(self.sums), "weight": self.weight, "pending": pending}

    def load_state_dict(self, state: dict) -> None:
        names, values, weights = (state["pending"][key] for key in ("names", "values", "weights"))
        rows = values if weights else []
        self.pending = [(dict(zip(names, row, strict=True)), weight) for row, weight in zip(rows, weights, strict=True)]
        self.sums, self.weight = dict(state["sums"]), state["weight"]


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up `values` (on the processor) over all processes of the run."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    on_gpu = torch.distributed.get_backend() == "nccl"
    values = values.cuda() if on_gpu else values
    torch.distributed.all_reduce(values)
    return values.cpu()


class Task(LightningModule):
    """A training objective for one net.

    Args:
        net: the module that is trained; called with `inputs(batch)`.
        optimizer: builds the optimizer from the parameters.
        schedule: builds the learning-rate schedule from the optimizer (see `runner.optim.schedules`).
        monitor: the validation metric that picks the best checkpoint; None = the last one is kept.
        mode: whether the smallest ("min") or the largest ("max") value of `monitor` is the best.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable | None = None,
        schedule: Callable | None = None,
        monitor: str | None = "val/loss",
        mode: str = "min",
    ):
        super().__init__()
        if mode not in ("min", "max"):
            raise UserError(f"task.mode is min or max, received {mode!r}")
        self.net = net
        self.optimizer = optimizer
        self.schedule = schedule
        self.monitor = monitor
        self.mode = mode
        self.gradient_clip: tuple[float | None, str] = (None, "norm")
        self.augment: nn.Module | None = None  # changes training batches (see `runner.augment`)
        self.regularise: Any = None  # adds penalties to the loss (see `runner.optim.regularise`)
        self.metrics = MetricCollection({})  # those that are no means over examples; filled by subclasses
        self.training_means = RunningMeans()
        self.evaluation_means = RunningMeans()

    # What a subclass says about its objective.

    def inputs(self, batch: tuple) -> tuple:
        """What the net is called with for this batch."""
        return batch[:-1]

    def size(self, batch: tuple) -> int:
        """How much this batch counts in a mean: its number of examples unless a subclass counts something else."""
        return len(batch[-1])

    def step(self, batch: tuple) -> dict[str, Tensor]:
        """Return the scalars of one batch, means over its examples; "loss" is the one that is minimised."""
        raise NotImplementedError(f"{type(self).__name__} has to define step(batch)")

    def evaluation_step(self, batch: tuple) -> dict[str, Tensor]:
        """Return the scalars of one validation or test batch and update `self.metrics`."""
        return self.step(batch)

    def connect(self, data: Any) -> None:
        """Take from the data what scoring and answering need, such as class names or the scale of the targets."""

    def raw_inputs(self, rows: list[dict], data: Any) -> tuple:
        """What `predict` is given for raw rows: encoded as in training."""
        return tuple(tensor.to(self.device) for tensor in data.encode(rows))

    def predict(self, inputs: tuple, data: Any) -> list[dict]:
        """Return one row of answers for each row of the inputs."""
        raise UserError(f"{type(self).__name__} does not answer single examples")

    def answer_columns(self, data: Any) -> dict[str, str]:
        """Names and types ("string", "double", "long") of the columns `predict` returns; empty if it does not."""
        return {}

    def figures(self) -> dict[str, Any]:
        """Return matplotlib figures of the test split by name."""
        return {}

    def fitted(self) -> dict[str, float]:
        """Return the fitted numbers by name where they are the result; `metrics.json` holds them as fit/NAME."""
        return self.net.fitted() if hasattr(self.net, "fitted") else {}

    # What a run does with an objective.

    def fit(self, trainer: Trainer, data: Any, checkpoint: str | None = None) -> None:
        """Train the net, from the checkpoint if there is one."""
        # What the imports have made stays until the end: the garbage collector need not look through it after every
        # few steps.
        gc.collect()
        gc.freeze()
        trainer.fit(self, datamodule=data, ckpt_path=checkpoint, weights_only=True)

    def evaluate(self, trainer: Trainer, data: Any, split: str) -> dict[str, float]:
        """Return the metrics of the split, "val" or "test"."""
        seed_everything(data.seed, verbose=False)  # an objective that draws numbers scores the same every time
        run = trainer.validate if split == "val" else trainer.test
        run(self, datamodule=data, verbose=False)
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        return {name: value for name, value in found.items() if name.startswith(f"{split}/")}

    def save_weights(self, folder: Path) -> None:
        save_model(self.net, str(folder / "weights.safetensors"))

    def load_weights(self, folder: Path) -> None:
        file = folder / "weights.safetensors"
        try:
            load_model(self.net, str(file))
        except SafetensorError as error:
            raise UserError(f"{file} is damaged, or no file of weights: {error}") from None

    def forward(self, *inputs: Tensor) -> Any:
        return self.net(*inputs)

    # How Lightning trains it.

    def configure_optimizers(self):
        return self.with_schedule(self.optimizer(self.net.parameters()))

    def with_schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        """Return what Lightning expects: the optimizer, with its learning-rate schedule if it has one."""
        if self.schedule is None:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = self.schedule(optimizer, total_steps=steps, steps_per_epoch=self.trainer.num_training_batches)
        if scheduler is None:
            return optimizer
        watches = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
        if watches and (self.monitor is None or not self.automatic_optimization):
            raise UserError("schedule=plateau watches task.monitor, and this task has none. Take another schedule.")
        how = {"scheduler": scheduler, "interval": "epoch" if watches else "step", "monitor": self.monitor}
        if watches and self.monitor.startswith("val/"):
            how |= {"frequency": self.trainer.check_val_every_n_epoch or 1, "strict": False}  # known after a validation
        return {"optimizer": optimizer, "lr_scheduler": how}

    def schedules(self) -> list:
        """The learning-rate schedules, for objectives that step their optimizers themselves."""
        found = self.lr_schedulers()
        return found if isinstance(found, list) else [found] if found else []

    def clip(self, optimizer: Any) -> None:
        """Clip the gradients as the trainer's settings say, for objectives that step their optimizers themselves."""
        largest, algorithm = self.gradient_clip
        if largest:
            self.clip_gradients(optimizer, gradient_clip_val=largest, gradient_clip_algorithm=algorithm)

    def training_step(self, batch: tuple, batch_idx: int) -> Tensor:
        scalars = self.step(batch)
        loss = scalars["loss"]
        if self.regularise is not None and self.regularise.penalises:
            scalars["penalty"] = self.regularise.penalty(self.net)
            loss = loss + scalars["penalty"]
        self.count(scalars, self.size(batch))
        return loss

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        if self.regularise is not None and self.regularise.penalises:
            loss = loss + self.regularise.penalty(self.net)
        super().manual_backward(loss, *args, **kwargs)

    def on_fit_start(self) -> None:
        if self.augment is not None:
            self.augment.connect(self.trainer.datamodule)
        if self.regularise is not None:
            self.regularise.attach(self.net)

    def on_fit_end(self) -> None:
        if self.regularise is not None:
            self.regularise.detach()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch if self.augment is None or not self.training else self.augment(batch)

    def count(self, scalars: dict[str, Tensor], size: int) -> None:
        """Add the scalars of a training batch to the curve and to the epoch."""
        self.training_means.add(scalars, size)

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
        if (batch_idx + 1) % self.trainer.log_every_n_steps == 0:
            self.close_window()

    def close_window(self) -> None:
        """Log the means since the last point of the training curve."""
        means = self.training_means.close()
        self.refuse_lost(means)
        if means and self.trainer.logger:
            self.trainer.logger.log_metrics(
                {f"train/{name}_step": value for name, value in means.items()}
                | {"train/lr": self.trainer.optimizers[0].param_groups[0]["lr"]},
                step=self.trainer.global_step,
            )

    def refuse_lost(self, means: dict[str, float]) -> None:
        """End a training that has diverged.

        Raises:
            UserError: a mean is no finite number.
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

    def validation_step(self, batch: tuple, batch_idx: int) -> None:
        self.evaluation_means.add(self.evaluation_step(batch), self.size(batch))

    def test_step(self, batch: tuple, batch_idx: int) -> None:
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
        """Return the metrics of the split that has just been gone through."""
        means = self.evaluation_means.pop()
        return means | {name: float(value) for name, value in self.metrics.compute().items()}

    def report(self, split: str, values: dict[str, float]) -> None:
        """Hand the metrics of an epoch to the callbacks (early stopping, checkpoints) and to the record of the run."""
        values = {f"{split}/{name}": value for name, value in values.items()}
        self.log_dict(values, logger=False)
        if self.trainer.logger and self.trainer.state.fn == "fit":
            self.trainer.logger.log_metrics(values | {"epoch": self.current_epoch}, step=self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        if (self.trainer.fit_loop.batch_idx + 1) % self.trainer.log_every_n_steps == 0:
            self.close_window()  # which `on_train_batch_end` is about to do
        self.refuse_lost(self.training_means.waiting())
        checkpoint["training_means"] = self.training_means.state_dict()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.training_means.load_state_dict(checkpoint["training_means"])

    # What follows only makes Lightning's share of a step smaller: for a small net it is most of the step.

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
        if name == "_current_fx_name":  # set some forty times a step, each time through torch's search for parameters
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)


# Lightning looks at the signature before every step; this spares it the work of finding out.
Task.training_step.__signature__ = inspect.signature(Task.training_step)
