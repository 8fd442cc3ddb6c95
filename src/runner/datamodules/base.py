"""What every dataset offers: splits, loaders, raw rows, encoding, and a state that travels with the trained model."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from runner.datamodules.parts.batches import Loader, Split, Subset
from runner.datamodules.parts.inputs import INPUTS, TARGETS, Classes, Inputs, Numbers, Targets
from runner.datamodules.parts.prepared import Prepared, SplitSettings
from runner.datamodules.parts.splits import PARTS
from runner.errors import UserError

log = logging.getLogger(__name__)

EVAL_BATCH = 256  # rows a batch without gradients, where the user does not say


class DataModule(LightningDataModule):
    """Base of all datasets. A subclass writes `prepare()`; its constructor reads nothing.

    After `setup()`: `train`, `val`, `test` (splits), `digest` and `source`. After `setup()` or
    `load_state()`: `columns`, `class_names`, `target_names`, `target_mean`, `target_std`, `encode`,
    `features`.

    Args:
        batch_size: rows of a training batch.
        eval_batch_size: rows of a validation or test batch; None = at least 256.
        split_seed: of the division into splits; independent of the run's seed, so that runs can be compared.
        fold: which of `folds` equal parts is the test split; the next one is the validation split.
        folds: number of equal parts; 10 gives 80/10/10.
        test_share: share of all rows in the test split; the equal parts, of which one is the validation split, are
            then parts of the rest. None = the test split is an equal part.
    """

    def __init__(
        self,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        split_seed: int = 0,
        fold: int = 0,
        folds: int = 10,
        test_share: float | None = None,
    ):
        super().__init__()
        for name, size in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if size is not None and size < 1:
                raise UserError(f"data.{name} must be at least 1, received {size}.")
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or max(batch_size, EVAL_BATCH)
        self.splitting = SplitSettings(split_seed, fold, folds, test_share)
        self.declared: dict[str, Any] = {}  # facts of the configuration, checked by setup
        self.seed = 0  # of the order of training batches
        self.row_weights: Tensor | None = None  # how often each training row is drawn; None = each once an epoch
        self.bucket = False  # whether rows of similar length come together in training
        self.inputs: Inputs | None = None
        self.targets: Targets | None = None
        self.prepared: Prepared | None = None

    def prepare(self) -> Prepared:
        """Read, split and encode the data.

        Raises:
            UserError: the data cannot be reached, or is not what the configuration says.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define prepare()")

    def setup(self, stage: str | None = None) -> None:
        """Read the data, once; check the declared facts against it.

        Raises:
            UserError: the data cannot be read, or a declared fact is wrong; the message says what to change.
        """
        if self.prepared is not None:
            return
        prepared = self.prepare()
        log.info("Data: %s", prepared.source)
        sizes = [len(getattr(prepared, part)) for part in PARTS]
        log.info("Rows: %d train, %d val, %d test", *sizes)
        for part, size in zip(PARTS, sizes, strict=True):
            if not size:
                raise UserError(f"{prepared.source}: the {part} split is empty. Add rows, or change data.fold.")
        self.check_facts(prepared)
        self.inputs, self.targets, self.prepared = prepared.inputs, prepared.targets, prepared

    def check_facts(self, prepared: Prepared) -> None:
        """Compare what the configuration declares with what was found."""
        for name, found in prepared.facts.items():
            declared = self.declared.get(name)
            declared = list(declared) if isinstance(declared, Sequence) else declared
            if declared is not None and declared != found:
                shown = str(found).replace(" ", "")
                raise UserError(
                    f"data.{name}={declared} is declared, but {prepared.source} has {found}. Set data.{name}={shown}."
                )

    # What was read.

    def _read(self) -> Prepared:
        assert self.prepared is not None, "setup() comes first"
        return self.prepared

    @property
    def train(self) -> Split:
        return self._read().train

    @property
    def val(self) -> Split:
        return self._read().val

    @property
    def test(self) -> Split:
        return self._read().test

    @property
    def digest(self) -> str:
        """SHA-256 of the source, hexadecimal."""
        return self._read().digest

    @property
    def source(self) -> str:
        """One line that says where the data came from."""
        return self._read().source

    @property
    def is_set_up(self) -> bool:
        """Whether the data has been read, and not only what a trained model needs of it."""
        return self.prepared is not None

    def targets_of(self, split: str) -> np.ndarray:
        """Return the raw targets of a split: class numbers (N,), or real values (N,) or (N, D)."""
        return self._read().rows.targets(split)

    def raw(self, split: str, limit: int) -> list[dict]:
        """Return the first raw rows of a split: column -> value."""
        return self._read().rows.raw(split, limit)

    def examples(self, split: str) -> tuple[Sequence, np.ndarray]:
        """Return inputs and targets of a split as scikit-learn takes them.

        Returns:
            Texts or a float matrix (N, F), and class numbers (N,) or real values (N,) or (N, D) in the data's
            own units.
        """
        rows = self._read().rows
        return self.features(rows.raw(split)), rows.targets(split)

    def figures(self, task: Any) -> dict[str, Any]:
        """Return matplotlib figures, by name, that show what a trained task makes of this data in particular."""
        return {}

    # What a trained model needs of the data.

    @property
    def columns(self) -> dict[str, str]:
        """Raw input columns and their types: "string", "double" or "tensor" (an array)."""
        return self._inputs().columns

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes in the order of their numbers; None without classes."""
        return self.targets.names if isinstance(self.targets, Classes) else None

    @property
    def target_names(self) -> list[str] | None:
        """Names of the real-valued targets; None without such targets."""
        return self.targets.names if isinstance(self.targets, Numbers) else None

    @property
    def target_mean(self) -> Tensor:
        """Training mean of each real-valued target (D,), float32."""
        return torch.as_tensor(self._numbers().mean, dtype=torch.float32)

    @property
    def target_std(self) -> Tensor:
        """Training standard deviation of each real-valued target (D,), float32."""
        return torch.as_tensor(self._numbers().std, dtype=torch.float32)

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Turn raw rows (column -> value) into net inputs, exactly as in training.

        Raises:
            UserError: a row lacks a column or holds something that cannot be read.
        """
        return self._inputs().encode(rows)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of token numbers, for data with a vocabulary."""
        raise UserError(f"{type(self).__name__} cannot turn numbers back into text")

    def features(self, rows: list[dict]) -> Sequence:
        """Turn raw rows into what scikit-learn takes: texts, or a float matrix (N, F)."""
        return self._inputs().features(rows)

    def state(self) -> dict:
        """Return all that encoding and decoding need, JSON-able: vocabulary, scalers, class names."""
        inputs = self._inputs()
        state: dict[str, Any] = {"inputs": {"kind": inputs.kind, **inputs.state()}}
        if self.targets is not None:
            state["targets"] = {"kind": self.targets.kind, **self.targets.state()}
        return state

    def load_state(self, state: dict) -> None:
        """Take up what `state()` returned; `encode` then works without `setup`."""
        inputs = dict(state["inputs"])
        self.inputs = INPUTS[inputs.pop("kind")].from_state(inputs)
        if "targets" in state:
            targets = dict(state["targets"])
            self.targets = TARGETS[targets.pop("kind")].from_state(targets)

    def _inputs(self) -> Inputs:
        assert self.inputs is not None, "setup() or load_state() comes first"
        return self.inputs

    def _numbers(self) -> Numbers:
        if not isinstance(self.targets, Numbers):
            raise UserError(
                "This data has classes, not real-valued targets: type task=classification, or for data=csv "
                "task=regression together with a label column of numbers."
            )
        return self.targets

    # Batches.

    def train_dataloader(self) -> Loader:
        if self.trainer and self.trainer.overfit_batches:  # the same batches in every epoch, drawn once
            drawn = Loader(self.train, self.batch_size, shuffle=True, seed=self.seed).order()
            return self._loader(Subset(self.train, drawn), self.batch_size)
        return self._loader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> Loader:
        return self._loader(self.val, self.eval_batch_size)

    def test_dataloader(self) -> Loader:
        return self._loader(self.test, self.eval_batch_size)

    def _loader(self, rows: Split, batch_size: int, shuffle: bool = False) -> Loader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        weights = self.row_weights if shuffle else None
        return Loader(rows, batch_size, shuffle, self.seed, rank, world_size, weights, self.bucket)
