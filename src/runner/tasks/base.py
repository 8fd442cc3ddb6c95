"""What all objectives share: what an objective says about itself, and what a run, a command or a test asks of it.

A subclass writes `step(batch) -> {name: scalar}` and, where its examples are not one class for each input, `example`;
where needed also `inputs`, `evaluation_step`, `answer` and `figures`. How it is trained is in `runner.tasks.loop`.

Shape letters: B batch, T time (tokens).
"""

import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.errors import UserError, first_line
from runner.figures.charts import entitle
from runner.files.atomic import write_atomically
from runner.tasks import examples
from runner.tasks.loop import Loop
from runner.tasks.means import Scalars, value_of

log = logging.getLogger(__name__)

Question = Callable[[str, DataModule], list[dict]]  # from what is typed to rows of answers
Measure = Callable[[str, DataModule], dict[str, float]]  # from what is typed to metrics
FILES = "files"  # the folder of a bundle that holds the net's own files; that of a run with those of its objective
EPOCHS = "epochs"  # the folder in the figures of a run with those of each epoch
ESTIMATOR = "estimator.pt"  # the file of a bundle that holds an estimator


class Task(Loop):
    """A training objective for one net.

    Args:
        net: the module that is trained; called with `inputs(batch)`.
    """

    tokens: tuple[int, ...] | None = None  # inputs that are padded rows of tokens; None = those that are int64 (B, T)
    shared: tuple[int, ...] = ()  # inputs that all examples of a batch share
    aligned: int = 0  # the input whose steps the answers follow
    causal: bool = False  # whether an answer may only depend on the steps up to its own
    at_use: tuple[str, ...] = ()  # settings that predict, evaluate and serve may change: task.KEY=VALUE
    asked_as: tuple[str, ...] = ()  # usual names of what it answers: predict task=NAME

    # What a subclass says about its objective.

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        """What the net is called with for this batch."""
        return tuple(batch[:-1])

    def step(self, batch: Any) -> Scalars:
        """Return the scalars of one batch; "loss" is the one that is minimised.

        A plain tensor is a mean over the examples of the batch; a mean over anything else is a
        `runner.tasks.means.Mean`.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define step(batch)")

    def own_losses(self, batch: Any) -> dict[str, Tensor]:
        """Named losses of a net with a method `losses(inputs, target)`, such as an adaptive softmax or a penalty.

        Its "loss" replaces that of the objective, all others are added; training reports its loss without "penalty".
        What the net answers may be among them as "outputs": it is then not called again.
        """
        return dict(self.net.losses(self.inputs(batch), batch[-1])) if hasattr(self.net, "losses") else {}

    def with_own_losses(self, batch: Any, scalars_of: Callable[[Tensor, Tensor], Scalars]) -> Scalars:
        """Return the scalars of a batch, from what the net answers and the target, and the net's own losses."""
        own = self.own_losses(batch)
        scalars = scalars_of(own.pop("outputs") if "outputs" in own else self.net(*self.inputs(batch)), batch[-1])
        loss = own.pop("loss", value_of(scalars["loss"]))
        return scalars | own | {"loss": sum(own.values(), loss)}

    @classmethod
    def fetch(cls, settings: Mapping[str, Any]) -> None:
        """Get what the objective with these settings reads besides the data, for machines without a connection."""

    @classmethod
    def implied(cls, changed: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that follow from those changed at use, such as beam search from several answers.

        Args:
            changed: what the user has typed.
            settings: all of the objective, what is typed included.
        """
        return {}

    def connect(self, data: DataModule) -> None:
        """Take from the data what scoring and answering need, such as class names or the scale of the targets."""

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Any:
        """Return a small made-up batch, or None if the objective cannot be tried without its data.

        Args:
            facts: sizes of the data by name, such as vocab_size.
            read: names of the facts that the net and the objective read.
            rows: examples of the batch.
            draw: what random numbers are drawn from.
        """
        return examples.with_classes(facts, read, rows, draw)

    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row of answers for each raw row (column -> value)."""
        raise UserError(f"{type(self).__name__} does not answer single examples")

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        """Names and types ("string", "double", "long") of the columns of `answer`; empty if it does not."""
        return {}

    def shown(self, answer: dict) -> list[str]:
        """Return the lines that `predict` prints for an answer."""
        numbers = {name: f"{value:.4f}" for name, value in answer.items() if isinstance(value, float)}
        return [f"{name}: {value}" for name, value in (answer | numbers).items()]

    def questions(self) -> dict[str, Question]:
        """What `predict` can be asked besides raw rows, such as {"sample": ...} for `predict run=last sample=64`."""
        return {}

    def measures(self) -> dict[str, Measure]:
        """What `evaluate` can be asked besides the metrics of a split, such as {"episodes": ...} for `episodes=100`."""
        return {}

    def sample_text(self, data: DataModule) -> str | None:
        """Return what the model writes after an epoch, for the log and samples.txt; None = nothing."""
        return None

    def figures(self) -> dict[str, Figure]:
        """Return figures of the test split by name."""
        return {}

    def epoch_figures(self) -> dict[str, Figure]:
        """Return figures of an epoch by name, drawn after its validation; those of all epochs become a moving one."""
        return {}

    def write_files(self, folder: Path, data: DataModule) -> None:
        """Write the files of the objective besides weights and figures, such as word vectors.

        Args:
            folder: `files/` of the run.
            data: what the net was trained on.
        """

    def fitted(self) -> dict[str, float]:
        """Return the fitted numbers by name if they are the result; `metrics.json` has them as fit/NAME."""
        return self.net.fitted() if hasattr(self.net, "fitted") else {}

    # What a run does with an objective.

    def fit(self, trainer: Trainer, data: DataModule, checkpoint: str | None = None) -> None:
        """Train the net, from the checkpoint if there is one."""
        self.net.train()  # pretrained nets arrive in evaluation mode, where dropout is off
        # Objects created by imports stay until the end: the garbage collector need not search them every few steps.
        gc.collect()
        gc.freeze()
        try:
            trainer.fit(self, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        except MisconfigurationException as error:  # what Lightning and its callbacks say about the settings of a run
            raise UserError(first_line(error)) from error

    def evaluate(self, trainer: Trainer, data: DataModule, split: str) -> dict[str, float]:
        """Return the metrics of the split, "val" or "test"."""
        seed_everything(
            data.seed, verbose=False
        )  # an objective that draws random numbers gives the same scores every time
        run = trainer.validate if split == "val" else trainer.test
        run(self, datamodule=data, verbose=False)
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        return {name: value for name, value in found.items() if name.startswith(f"{split}/")}

    def save_weights(self, folder: Path) -> None:
        """Write the weights, and the additional files of a net; of an estimator its state."""
        if not self.by_gradient:
            torch.save(self.net.state(), folder / ESTIMATOR)
            return
        save_model(self.net, str(folder / "weights.safetensors"))
        if hasattr(self.net, "save_files"):
            (folder / FILES).mkdir(exist_ok=True)
            self.net.save_files(folder / FILES)

    def load_weights(self, folder: Path) -> None:
        if not self.by_gradient:
            self.net.load_state(torch.load(folder / ESTIMATOR, weights_only=True))
            return
        file = folder / "weights.safetensors"
        if hasattr(self.net, "load_files"):
            self.net.load_files(folder / FILES)
        try:
            load_model(self.net, str(file))
        except SafetensorError as error:
            raise UserError(f"{file} is damaged, or not a file of weights: {error}") from None

    # What a command asks of a trained objective.

    def encoded(self, rows: list[dict], data: DataModule) -> tuple[Tensor, ...]:
        """Inputs of the net for raw rows, encoded as in training."""
        return tuple(tensor.to(self.device) for tensor in data.encode(rows))

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        """Return inputs of the net, `rows` examples of `length` tokens, with which an export traces it."""
        return examples.of_length(data, rows, length)

    def longest_input(self, data: DataModule) -> int | None:
        """Tokens of a row of the net's inputs at most, if the data say so; an export without free lengths has this."""
        return getattr(data, "context_len", None) or getattr(data.inputs, "max_len", None)

    def programs(self, inputs: list[tuple[Tensor, ...]]) -> dict[str, tuple[nn.Module, list[tuple[Tensor, ...]]]]:
        """Return what an export writes, by name, with inputs to trace and check it; usually the net, without a name.

        Args:
            inputs: of the net, several batch sizes and lengths.
        """
        return {"": (self.net, inputs)}

    def start_scoring(self) -> None:
        """Start computing the metrics of labelled rows."""
        self.on_validation_epoch_start()

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Add raw rows and their true labels to the metrics."""
        if data.targets is None or truths is None:
            raise UserError(f"{type(self).__name__} has no labels to compare with: use split=val or split=test")
        batch = (*self.encoded(rows, data), data.targets.encode(np.asarray(truths)).to(self.device))
        self.evaluation_means.add(self.evaluation_step(batch), self.rows(batch))
        self.evaluation_means.close()  # sums take little memory

    def scores(self) -> dict[str, float]:
        """Return the metrics of all rows since `start_scoring`."""
        return self.evaluation_metrics()

    def forward(self, *inputs: Tensor) -> Any:
        return self.net(*inputs)

    # Samples after each epoch.

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if self.trainer.is_global_zero and self.trainer.state.fn == "fit":
            folder = Path(self.trainer.default_root_dir)
            self.write_sample(folder / "samples.txt")
            self.draw_epoch(folder / "figures" / EPOCHS)

    def write_sample(self, path: Path) -> None:
        """Add this epoch's sample to the log and to a file; a resumed run may repeat an epoch."""
        text = self.sample_text(self.data_module)
        if text is None:
            return
        log.info("epoch %d: %s", self.current_epoch + 1, text)
        heading = f"--- epoch {self.current_epoch + 1} ---\n"
        before = path.read_text(encoding="utf-8").split(heading)[0] if path.exists() else ""
        write_atomically(path, f"{before}{heading}{text}\n")

    def draw_epoch(self, folder: Path) -> None:
        """Save the figures of this epoch, a folder for each name; a resumed run may repeat an epoch."""
        for name, figure in self.epoch_figures().items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            entitle(figure, f"epoch {self.current_epoch + 1}")
            figure.savefig(folder / name / f"{self.current_epoch + 1:04d}.png", dpi=80)
