"""What every dataset offers: splits, loaders, raw rows, encoding, and a state that travels with the trained model."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from runner.datamodules.parts.batches import Loader, Split, Subset
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.prepared import Prepared, Rows, SplitSettings
from runner.datamodules.parts.splits import PARTS
from runner.datamodules.parts.targets import Classes, LabelSets, Numbers, Targets
from runner.errors import UserError
from runner.files.secrets import without_credentials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

EVAL_BATCH = 256  # rows of a batch without gradients, unless the user sets it


@dataclass(kw_only=True, eq=False, repr=False)
class DataModule(LightningDataModule):
    """Base of all datasets. A subclass writes `prepare()`; its constructor reads nothing.

    A subclass is a keyword-only dataclass like this one and declares only its own settings; what has to be checked or
    computed is in `__post_init__`, which calls that of its base. A plain `__init__` works too: it calls
    `super().__init__(batch_size=...)`. A setting that has the name of a fact (such as num_classes) is what the
    configuration declares, and `setup()` compares it with the data.

    After `setup()`: `train`, `val`, `test` (splits), `digest` and `source`. After `setup()` or `load_state()`:
    `inputs`, `targets`, `columns`, `class_names`, `target_names`, `target_mean`, `target_std`, `encode`, `decode`.

    Args:
        batch_size: rows of a training batch, at least 1.
        eval_batch_size: rows of a validation or test batch, at least 1; None = at least 256.
        split_seed: of the division into splits, at least 0; independent of the run's seed, so that runs can be
            compared.
        fold: which of `folds` equal parts is the test split, at least 0; the next one is the validation split. Where
            the source has its own test split, that one is kept and the next part of the rest is for validation.
        folds: number of equal parts, at least 3; 10 gives 80/10/10.
        test_share: share of all rows in the test split, in (0, 1); the equal parts, of which one is the validation
            split, are then parts of the rest. None = the test split is an equal part.
        train_share: share of the training split that is used, in (0, 1]; vocabulary and scalers come from it, too.
            Validation and test stay as they are.
    """

    batch_size: int = 32
    eval_batch_size: int | None = None
    split_seed: int = 0
    fold: int = 0
    folds: int = 10
    test_share: float | None = None
    train_share: float = 1.0

    token_unit: ClassVar[str] = "token"  # what one token is: a model of characters reports bits per character

    def __post_init__(self) -> None:
        super().__init__()
        self.seed = 0  # of the order of training batches
        self.row_weights: Tensor | None = None  # how often each training row is drawn; None = each row once an epoch
        self.inputs: Codec | None = None
        self.targets: Targets | None = None
        self.prepared: Prepared | None = None
        self.divided = False  # whether `prepare` has asked how rows are divided

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the data itself: it is read, never changed, and a copy of a task would copy every row with it."""
        return self

    @property
    def splitting(self) -> SplitSettings:
        """How rows are divided."""
        self.divided = True
        return SplitSettings(self.split_seed, self.fold, self.folds, self.test_share, self.train_share)

    def prepare(self) -> Prepared:
        """Read, split and encode the data.

        Raises:
            UserError: the data cannot be reached, or is not what the configuration says.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define prepare()")

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets | None] | None:
        """Return the codecs of a small made-up version of this data; None = the facts alone determine what a batch is.

        Args:
            facts: the sizes of the made-up version, by name.
        """
        return None

    def setup(self, stage: str | None = None) -> None:
        """Read the data, once; check the declared facts against it.

        Raises:
            UserError: the data cannot be read, or a declared fact is wrong; the message says what to change.
        """
        if self.prepared is not None:
            return
        prepared = self.prepare()
        if self.train_share != 1 and not self.divided:
            raise UserError(
                f"data.train_share={self.train_share}: {type(self).__name__} has splits of its own. Leave it out"
            )
        prepared = replace(prepared, source=without_credentials(prepared.source))
        log.info("Data: %s", prepared.source)
        splits: dict[str, Split | None] = {part: getattr(prepared, part) for part in PARTS}
        sizes = [f"{len(split)} {part}" for part, split in splits.items() if split is not None]
        absent = [part for part, split in splits.items() if split is None]
        log.info("Rows: %s%s", ", ".join(sizes), f"; there is no {' and no '.join(absent)} split" if absent else "")
        for part, split in splits.items():
            if split is not None and not len(split):
                raise UserError(f"{prepared.source}: the {part} split is empty. Add rows, or change data.fold.")
        self.check_facts(prepared)
        self.inputs, self.targets, self.prepared = prepared.inputs, prepared.targets, prepared

    def check_facts(self, prepared: Prepared) -> None:
        """Compare what the configuration declares with what was found."""
        for name, found in prepared.facts.items():
            declared = getattr(self, name, None)
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
    def val(self) -> Split | None:
        return self._read().val

    @property
    def test(self) -> Split | None:
        return self._read().test

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each existing split."""
        splits = {part: getattr(self, part) for part in PARTS}
        return {part: len(split) for part, split in splits.items() if split is not None}

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
        """Whether the data itself has been read, not only what a trained model needs from it."""
        return self.prepared is not None

    def _raw_rows(self, split: str) -> Rows:
        read = self._read()
        if read.rows is None:
            raise UserError(f"{read.source} has no rows to look at: the data are generated during use.")
        if getattr(read, split) is None:
            raise UserError(f"{read.source} has no {split} split.")
        return read.rows

    def targets_of(self, split: str) -> np.ndarray:
        """Return the raw targets of a split: class numbers (N,), or real values (N,) or (N, D).

        Raises:
            UserError: the data has no rows, or no such split.
        """
        return self._raw_rows(split).targets(split)

    def raw(self, split: str, limit: int | None = None) -> list[dict]:
        """Return the first raw rows of a split, column -> value; None = all.

        Raises:
            UserError: the data has no rows, or no such split.
        """
        return self._raw_rows(split).raw(split, limit)

    def some_rows(self, limit: int) -> list[dict]:
        """Return the first raw rows of the test split, if there is one, else of training; made-up ones without rows."""
        if self._read().rows is None:
            return self._inputs().example(limit, np.random.default_rng(0))
        return self.raw("train" if self.test is None else "test", limit)

    def examples(self, split: str) -> tuple[Sequence[str] | np.ndarray, np.ndarray]:
        """Return inputs and targets of a split as scikit-learn takes them.

        Returns:
            Texts or a float matrix (N, F), and class numbers (N,) or real values (N,) or (N, D) in the data's
            own units.
        """
        return self.plain_features(self.raw(split)), self.targets_of(split)

    def figures(self, task: Any) -> dict[str, "Figure"]:
        """Return figures, by name, of the answers of a trained task that are specific to this data."""
        return {}

    # What a trained model needs from the data.

    @property
    def columns(self) -> dict[str, str]:
        """Raw input columns and their types: "string", "double", "category" or "tensor" (an array)."""
        return self._inputs().columns

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, or of the labels, in the order of their numbers; None without classes."""
        return self.targets.names if isinstance(self.targets, Classes | LabelSets) else None

    @property
    def unit(self) -> str:
        """Unit of the real-valued targets, such as dollars; "" = none is known."""
        return ""

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
        """Return the text of token numbers; an unknown token is shown as U+FFFD.

        Raises:
            UserError: the data are not texts.
        """
        return self._inputs().decode(numbers)

    def plain_features(self, rows: list[dict]) -> Sequence[str] | np.ndarray:
        """Turn raw rows into what scikit-learn takes: texts, or a float matrix (N, F)."""
        return self._inputs().features(rows)

    def state(self) -> dict[str, Any]:
        """Return everything that encoding and decoding need, JSON-able: vocabulary, scalers, class names."""
        state = {"inputs": self._inputs().stored()}
        return state if self.targets is None else state | {"targets": self.targets.stored()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state()` returned; `encode` then works without `setup`."""
        self.inputs = Codec.restored(state["inputs"])
        self.targets = Targets.restored(state["targets"]) if "targets" in state else None

    def _inputs(self) -> Codec:
        assert self.inputs is not None, "setup() or load_state() comes first"
        return self.inputs

    def _numbers(self) -> Numbers:
        if not isinstance(self.targets, Numbers):
            raise UserError(
                "This data has classes or labels, not real-valued targets: type task=classification, or for data=csv "
                "task=regression together with a label column of numbers."
            )
        return self.targets

    # Batches.

    @property
    def eval_rows(self) -> int:
        """Rows of a validation or test batch."""
        return self.eval_batch_size or max(self.batch_size, EVAL_BATCH)

    def train_dataloader(self) -> Loader:
        if getattr(self.trainer, "overfit_batches", 0):  # the same batches in every epoch, drawn once
            drawn = Loader(self.train, self.batch_size, shuffle=True, seed=self.seed).order()
            return self._loader(Subset(self.train, drawn), self.batch_size)
        return self._loader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> Loader | list[Loader]:
        return [] if self.val is None else self._loader(self.val, self.eval_rows)

    def test_dataloader(self) -> Loader | list[Loader]:
        return [] if self.test is None else self._loader(self.test, self.eval_rows)

    def _loader(self, rows: Split, batch_size: int, shuffle: bool = False) -> Loader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        weights = self.row_weights if shuffle else None
        bucket, short_first = getattr(self, "bucket", False), getattr(self, "short_first", 0)  # settings of texts
        return Loader(rows, batch_size, shuffle, self.seed, rank, world_size, weights, bucket, short_first)
