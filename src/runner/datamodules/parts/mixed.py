"""Tables with columns of several kinds side by side: numbers, categories and a text.

A batch holds, as far as the table has them, numbers (B, F), float32, standardised; for each category column the numbers
of its categories (B,), int64, 0 = missing or never seen in training; tokens (B, T), int64, padded with PAD; the target.

Shape letters: B batch, T tokens, F number columns, N rows.
"""

import sys
from array import array
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import Subset, TextSplit
from runner.datamodules.parts.codecs import Codec, Columns, NumberInputs, cells
from runner.datamodules.parts.prepared import Prepared, SplitSettings
from runner.datamodules.parts.splits import OWN, PARTS, Splits
from runner.datamodules.parts.targets import numbers_of_names, raw_target, target_array, targets_for
from runner.datamodules.parts.tensors import ArrayRows
from runner.errors import UserError
from runner.files.cells import category_of
from runner.files.rows import Row


@cache
def mixed_batch(numbers: bool, categories: int, text: bool) -> Callable[..., Any]:
    """Return the type of a batch: a NamedTuple of its inputs and the target.

    Args:
        numbers: whether there are number columns.
        categories: number of category columns.
        text: whether there is a text column.
    """
    names = ["numbers"] * numbers + [f"category_{place + 1}" for place in range(categories)] + ["tokens"] * text
    return namedtuple("Mixed", [*names, "target"])


class CategoryInputs(Codec):
    """Category columns as numbers of categories; 0 = missing or never seen in training.

    Args:
        names: the raw columns, in order.
        values: the categories of each column, in the order of their numbers from 1.
    """

    kind = "categories"

    def __init__(self, names: Sequence[str], values: Sequence[Sequence[str]]):
        self.names, self.values = list(names), [list(found) for found in values]
        self.numbers = [{value: place for place, value in enumerate(found, 1)} for found in self.values]

    @classmethod
    def fit(cls, names: Sequence[str], table: np.ndarray) -> "CategoryInputs":
        """Take the categories from the training rows (N, columns)."""
        return cls(names, [sorted(set(column.tolist()) - {""}) for column in table.T])

    @property
    def sizes(self) -> list[int]:
        """Numbers that each column may have, 0 included."""
        return [len(found) + 1 for found in self.values]

    @property
    def columns(self) -> dict[str, str]:
        return dict.fromkeys(self.names, "category")

    def numbers_of(self, table: Iterable[Iterable[str]]) -> tuple[Tensor, ...]:
        """Return the numbers (N,), int64, of each column of names."""
        return tuple(
            torch.tensor([known.get(value, 0) for value in column], dtype=torch.int64)
            for known, column in zip(self.numbers, table, strict=True)
        )

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return one tensor of numbers (B,), int64, for each column."""
        return self.numbers_of([category_of(cell) for cell in cells(rows, name)] for name in self.names)

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        drawn = [draw.choice(found or [""], size=rows).tolist() for found in self.values]
        return [dict(zip(self.names, row, strict=True)) for row in zip(*drawn, strict=True)]

    def state(self) -> dict[str, Any]:
        return {"names": self.names, "values": self.values}


class MixedSplit:
    """Rows of a table with columns of several kinds.

    Args:
        tensors: numbers (N, F), if there are any, and the categories (N,) of each column.
        texts: the text column; None = there is none.
        targets: one target for each row.
        batch: the type of a batch.
    """

    def __init__(self, tensors: Sequence[Tensor], texts: TextSplit | None, targets: Tensor, batch: Callable[..., Any]):
        self.tensors, self.texts, self.targets, self.batch = tensors, texts, targets, batch

    def __len__(self) -> int:
        return len(self.targets)

    def lengths(self) -> Tensor:
        """Tokens of each row, int64 (N,)."""
        return torch.ones(len(self), dtype=torch.int64) if self.texts is None else self.texts.lengths()

    def gather(self, index: Tensor, draw: torch.Generator) -> Any:
        read = [] if self.texts is None else [self.texts.gather(index, draw).tokens]
        return self.batch(*(tensor[index] for tensor in self.tensors), *read, self.targets[index])


class MixedRows:
    """The raw rows of such a table.

    Args:
        arrays: the columns that are not texts.
        texts: the texts; None = there are none.
    """

    def __init__(self, arrays: ArrayRows, texts: Any):
        self.arrays, self.texts = arrays, texts
        self.index = arrays.index

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        found = self.arrays.raw(part, limit)
        if self.texts is None:
            return found
        return [row | text for row, text in zip(found, self.texts.raw(part, limit), strict=True)]

    def targets(self, part: str) -> np.ndarray:
        return self.arrays.targets(part)


class MixedTable(NamedTuple):
    """The columns of a table that are not texts.

    Args:
        numbers: values of the number columns (N, F).
        categories: names of categories (N, columns), "" = missing.
        target: class numbers (N,), or values or labels (N, D).
        own: where the source puts each row, see `OWN`.
    """

    numbers: np.ndarray
    categories: np.ndarray
    target: np.ndarray
    own: np.ndarray

    @classmethod
    def read(cls, rows: Iterable[Row], class_names: Sequence[str] | None) -> "MixedTable":
        """Return the columns of rows.

        Args:
            rows: of a table.
            class_names: names of the classes, or `LabelNames`; None = the targets are real values.
        """
        class_numbers = numbers_of_names(class_names)
        numbers, target, own = array("d"), array("d"), array("b")
        categories: list[str] = []
        for row in rows:
            numbers.extend(row.numbers)
            categories.extend(sys.intern(name) for name in row.categories)  # the same words in many rows
            target.extend(raw_target(row.target, class_numbers))
            own.append(OWN[row.split])
        count = len(own)
        return cls(
            np.array(numbers).reshape(count, -1),
            np.array(categories, dtype=object).reshape(count, -1),
            target_array(target, count, class_names),
            np.array(own),
        )


def check_sizes(inputs: Codec, declared: Sequence[int] | None) -> None:
    """Check that the declared sizes of the categories have room for those that were found in training.

    Raises:
        UserError: a column has more categories, or there are not as many columns.
    """
    parts = inputs.parts if isinstance(inputs, Columns) else {}
    found = [size for part in parts.values() if isinstance(part, CategoryInputs) for size in part.sizes]
    given = list(declared or [])
    if len(found) != len(given) or any(one > other for one, other in zip(found, given, strict=True)):
        shown = str(found or "null").replace(" ", "")
        raise UserError(
            f"data.category_sizes={given} is declared, but the table has {found}: type data.category_sizes={shown}"
        )


def prepare_mixed(
    table: MixedTable,
    number_names: Sequence[str],
    category_names: Sequence[str],
    texts: Prepared | None,
    splitting: SplitSettings,
    source: str,
    digest: str,
    class_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
) -> Prepared:
    """Return the splits of a table whose columns are read side by side.

    Args:
        table: the columns that are not texts.
        number_names: of the number columns.
        category_names: of the category columns.
        texts: the text column, prepared from the same rows in the same order; None = there is none.
        splitting: how rows are divided.
        source: one line that says where the data came from.
        digest: SHA-256 of what was read.
        class_names: names of the classes, or `LabelNames`; None = the targets are real values.
        target_names: names of the real-valued targets.
    """
    target = table.target
    if texts is None:
        found = splitting(len(target), target if target.ndim == 1 else None, table.own if table.own.any() else None)
        stored = None
    else:
        made: list[Any] = [getattr(texts, part) for part in PARTS]
        found, stored = Splits(*(split.index.numpy() for split in made)), made[0].split
    index = found._asdict()
    parts: dict[str, Codec] = {}
    tensors: list[Tensor] = []
    if number_names:
        parts["numbers"] = numbers = NumberInputs.fit(number_names, table.numbers[index["train"]])
        tensors.append(numbers.scale(table.numbers))
    if category_names:
        parts["categories"] = categories = CategoryInputs.fit(category_names, table.categories[index["train"]])
        tensors += categories.numbers_of(table.categories.T)
    if texts is not None:
        parts["text"] = texts.inputs
    targets = targets_for(target[index["train"]], class_names, target_names)
    batch = mixed_batch(bool(number_names), len(category_names), texts is not None)
    store = MixedSplit(tensors, stored, targets.encode(target), batch)
    splits: dict[str, Any] = {part: Subset(store, torch.from_numpy(index[part])) for part in PARTS}
    names = [*number_names, *category_names]
    columns = dict(zip(names, [*table.numbers.T, *table.categories.T], strict=True)) if names else {}
    rows = MixedRows(ArrayRows(columns, target, found), None if texts is None else texts.rows)
    facts = targets.facts | ({"in_features": len(number_names)} if number_names else {})
    return Prepared(Columns(parts), targets, **splits, rows=rows, source=source, digest=digest, facts=facts)
