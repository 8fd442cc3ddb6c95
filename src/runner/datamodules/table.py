"""A user's own table: text, numbers and categories; classes, labels or real values (read by runner.files.rows)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from runner.datamodules.parts.mixed import MixedTable, check_sizes, prepare_mixed
from runner.datamodules.parts.prepared import FoundRows, Prepared
from runner.datamodules.parts.streamed import StreamSource
from runner.datamodules.parts.targets import LabelNames
from runner.datamodules.parts.tensors import prepare_numbers
from runner.datamodules.parts.text_pairs import PairedRow, prepare_text_pairs
from runner.datamodules.parts.texts import TextRow, prepare_texts
from runner.datamodules.streamable import StreamableTexts
from runner.errors import UserError
from runner.files import rows

log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False, repr=False)
class Table(StreamableTexts):
    """Rows of a file, of a folder with train, val and test files, or of an http(s) address.

    Args:
        path: the file (CSV, TSV, JSON, JSONL, Parquet, text), folder or address.
        label: column to predict; several, if they are numbers.
        text: column that is read as text; None = the number columns are the features.
        text_pair: column with a second text, which is read together with the first; None = there is none.
        features: number columns; None = all but the label, and none beside a text.
        categories: columns of words that are read as categories, beside text and number columns; None = none.
        target: whether the label is a class or a number, or the cell holds several labels.
        label_separator: between the labels of a cell; None = a cell holds one label, or a list of them.
        class_order: all classes from the lowest to the highest; None = as numbers, or in alphabetical order.
        num_classes: declared number of classes.
        num_labels: declared number of different labels, where a row may have several.
        num_targets: declared number of real-valued targets.
        in_features: declared number of number columns.
        category_sizes: declared number of categories of each category column, and one more for what is missing.
        encoding: of text formats, such as utf-8, latin-1, cp1252, utf-16, gbk.
        delimiter: between the cells of CSV and TSV files; None = comma or tab by the file's ending.
        quoted: whether quotation marks enclose cells; False = they are ordinary characters.
    """

    path: str
    label: str | Sequence[str]
    text: str | None = None
    text_pair: str | None = None
    features: Sequence[str] | None = None
    categories: Sequence[str] | None = None
    target: Literal["class", "number", "labels"] = "class"
    label_separator: str | None = None
    class_order: Sequence[str] | None = None
    num_classes: int | None = None
    num_labels: int | None = None
    num_targets: int | None = None
    in_features: int | None = None
    category_sizes: Sequence[int] | None = None
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
        return rows.Settings.named({name: getattr(self, name, None) for name in rows.Settings.__dataclass_fields__})

    def prepare(self) -> Prepared:
        reading = self.reading
        found = rows.facts(reading)
        for sentence, notable in rows.told(reading, found):
            log.log(logging.WARNING if notable else logging.INFO, "%s", sentence)
        names = None if self.target == "number" else found.classes
        if self.target == "labels":
            names = LabelNames(found.classes, self.label_separator)
        if self.streaming:
            others = reading.mixed or self.text_pair is not None
            return self.streamed(self._stream(reading), self.text, others, names, reading.labels)
        if reading.mixed:
            return self._prepare_mixed(reading, found.features, names)
        if self.text is None:
            return self._prepare_numbers(reading, found.features, names)
        if self.text_pair is not None:
            return self._prepare_pairs(reading, names)
        return self._prepare_texts(reading, names)

    def _stream(self, reading: rows.Settings) -> StreamSource:
        def read(split: str, start: int) -> Iterator[TextRow]:
            own = (row for row in rows.rows(reading) if (row.split or "train") == split)
            return (TextRow(row.text, row.target) for row in islice(own, start, None))

        splits = [part.split or "train" for part in rows.parts(reading)]
        name, source = Path(self.path).stem or "table", f"table {self.path}"
        return StreamSource(name, read, splits, source, rows.digest(reading), self._kept(reading))

    def _kept(self, reading: rows.Settings) -> dict[str, Any]:
        """Return the settings that decide which texts and targets there are."""
        kept = ("text", "label", "encoding", "delimiter", "quoted", "target", "more_labels", "label_separator")
        return {name: getattr(reading, name) for name in kept}

    def _prepare_texts(self, reading: rows.Settings, class_names: list[str] | None) -> Prepared:
        assert self.text is not None, "it is checked with the table"
        return prepare_texts(
            Path(self.path).stem or "table",
            lambda: (TextRow(row.text, row.target, row.split) for row in rows.rows(reading)),
            self.encoded(self.text),
            self.splitting,
            source=f"table {self.path}",
            digest=rows.digest(reading),
            reading=self._kept(reading),
            class_names=class_names,
            target_names=reading.labels,
        )

    def _prepare_mixed(self, reading: rows.Settings, features: list[str], class_names: list[str] | None) -> Prepared:
        prepared = prepare_mixed(
            MixedTable.read(rows.rows(reading, features), class_names),
            features,
            reading.categories,
            self._prepare_texts(reading, class_names) if self.text else None,
            self.splitting,
            source=f"table {self.path}",
            digest=rows.digest(reading),
            class_names=class_names,
            target_names=reading.labels,
        )
        check_sizes(prepared.inputs, self.category_sizes)
        return prepared

    def _prepare_pairs(self, reading: rows.Settings, class_names: list[str] | None) -> Prepared:
        def found() -> Iterator[PairedRow]:
            for row in rows.rows(reading):
                yield PairedRow(row.text, row.second, row.target, row.split)

        assert self.text is not None and self.text_pair is not None, "both are checked with the table"
        return prepare_text_pairs(
            FoundRows(
                Path(self.path).stem or "table",
                found,
                f"table {self.path}",
                rows.digest(reading),
                self._kept(reading),
            ),
            (self.text, self.text_pair),
            self.encoded(),
            self.splitting,
            class_names,
            reading.labels,
        )

    def _prepare_numbers(self, reading: rows.Settings, features: list[str], class_names: list[str] | None) -> Prepared:
        table = MixedTable.read(rows.rows(reading, features), class_names)
        classes = table.target if table.target.ndim == 1 else None
        splits = self.splitting(len(table.target), classes, table.own if table.own.any() else None)
        return prepare_numbers(
            features,
            table.numbers,
            table.target,
            splits,
            source=f"table {self.path}",
            digest=rows.digest(reading),
            class_names=class_names,
            target_names=reading.labels,
        )
