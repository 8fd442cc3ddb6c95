"""A user's own table: a text column or number columns, classes or real values (read by runner.files.rows)."""

import logging
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from runner.datamodules.parts.prepared import FoundRows, Prepared
from runner.datamodules.parts.splits import OWN
from runner.datamodules.parts.tensors import prepare_numbers
from runner.datamodules.parts.text_pairs import PairedRow, prepare_text_pairs
from runner.datamodules.parts.texts import TextRow, prepare_texts
from runner.datamodules.text_data import TextData
from runner.errors import UserError
from runner.files import rows

log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False, repr=False)
class Table(TextData):
    """Rows of a file, of a folder with train, val and test files, or of an http(s) address.

    Args:
        path: the file (CSV, TSV, JSON, JSONL, Parquet, text), folder or address.
        label: column to predict.
        text: column that is read as text; None = the number columns are the features.
        text_pair: column with a second text, which is read together with the first; None = there is none.
        features: number columns; None = all but the label.
        target: whether the label is a class or a number.
        num_classes: declared number of classes.
        num_targets: declared number of real-valued targets, 1.
        in_features: declared number of number columns.
        encoding: of text formats, such as utf-8, latin-1, cp1252, utf-16, gbk.
        delimiter: between the cells of CSV and TSV files; None = comma or tab by the file's ending.
        quoted: whether quotation marks enclose cells; False = they are ordinary characters.
    """

    path: str
    label: str
    text: str | None = None
    text_pair: str | None = None
    features: Sequence[str] | None = None
    target: Literal["class", "number"] = "class"
    num_classes: int | None = None
    num_targets: int | None = None
    in_features: int | None = None
    encoding: str = "utf-8"
    delimiter: str | None = None
    quoted: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bucket = self.bucket and self.text is not None
        if self.short_first and self.text is None:
            raise UserError("data.short_first sorts texts by length, and this table is read as numbers: leave it out")

    @property
    def reading(self) -> rows.Settings:
        """How the table is read."""
        columns = None if self.features is None else tuple(self.features)
        how = (self.encoding, self.delimiter, self.quoted)
        return rows.Settings(str(self.path), self.text, self.label, columns, self.target, *how, self.text_pair)

    def prepare(self) -> Prepared:
        reading = self.reading
        found = rows.facts(reading)
        for sentence, notable in rows.told(reading, found):
            log.log(logging.WARNING if notable else logging.INFO, "%s", sentence)
        names = found.classes if self.target == "class" else None
        if self.text is None:
            return self._prepare_numbers(reading, found.features, names)
        if self.text_pair is not None:
            return self._prepare_pairs(reading, names)
        return prepare_texts(
            Path(self.path).stem or "table",
            lambda: (TextRow(row.text, row.target, row.split) for row in rows.rows(reading)),
            self.encoded(self.text),
            self.splitting,
            source=f"table {self.path}",
            digest=rows.digest(reading),
            reading={name: getattr(reading, name) for name in ("text", "label", "encoding", "delimiter", "quoted")},
            class_names=names,
            target_names=[self.label],
        )

    def _prepare_pairs(self, reading: rows.Settings, class_names: list[str] | None) -> Prepared:
        def found() -> Iterator[PairedRow]:
            for row in rows.rows(reading):
                yield PairedRow(row.text, row.second, row.target, row.split)

        assert self.text is not None and self.text_pair is not None, "both are checked with the table"
        kept = ("label", "encoding", "delimiter", "quoted")
        return prepare_text_pairs(
            FoundRows(
                Path(self.path).stem or "table",
                found,
                f"table {self.path}",
                rows.digest(reading),
                {name: getattr(reading, name) for name in kept},
            ),
            (self.text, self.text_pair),
            self.encoded(),
            self.splitting,
            class_names,
            [self.label],
        )

    def _prepare_numbers(self, reading: rows.Settings, features: list[str], class_names: list[str] | None) -> Prepared:
        values, target, own = array("d"), array("d"), array("b")
        class_numbers: dict[str | float, int] = {name: number for number, name in enumerate(class_names or ())}
        for row in rows.rows(reading, features):
            values.extend(row.numbers)
            target.append(float(row.target) if class_names is None else class_numbers[row.target])
            own.append(OWN[row.split])
        table = np.array(values).reshape(-1, len(features))
        placed = np.array(own) if any(own) else None
        if class_names is None:
            wanted = np.array(target)[:, None]
            splits = self.splitting(len(table), own=placed)
        else:
            wanted = np.array(target, dtype=np.int64)
            splits = self.splitting(len(table), wanted, placed)
        return prepare_numbers(
            features,
            table,
            wanted,
            splits,
            source=f"table {self.path}",
            digest=rows.digest(reading),
            class_names=class_names,
            target_names=[self.label],
        )
