"""What all training objectives share: the steps, their running means, the optimizer, and what a run asks of an
objective.

A subclass writes `step(batch) -> {name: scalar}` and, where needed, `inputs`, `evaluation_step`, `predict` and
`figures`.
"""

import gc
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer, seed_everything
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import Tensor

from runner.errors import UserError
from runner.tasks.loop import Loop


class Task(Loop):
    """A training objective for one net.

    Args:
        net: the module that is trained; called with `inputs(batch)`.
        optimizer: builds the optimizer from the parameters.
        schedule: builds the learning-rate schedule from the optimizer (see `runner.optim.schedules`).
        monitor: the validation metric that picks the best checkpoint; None = the last one is kept.
        mode: whether the smallest ("min") or the largest ("max") value of `monitor` is the best.
    """

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
