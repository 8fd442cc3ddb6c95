"""Any text dataset of the Hugging Face hub, or a folder in its layout, through `datasets.load_dataset`."""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from runner.datamodules.parts.prepared import FoundRows, Prepared
from runner.datamodules.parts.streamed import StreamSource
from runner.datamodules.parts.text_pairs import PairedRow, prepare_text_pairs
from runner.datamodules.parts.texts import TextRow, prepare_texts
from runner.datamodules.streamable import StreamableTexts
from runner.errors import UserError
from runner.files import cache, progress, sources
from runner.files.cells import text_of
from runner.files.rows import SPLIT_NAMES
from runner.files.tables import no_column

log = logging.getLogger(__name__)


def hidden_labels(rows: Any, label: str) -> bool:
    """Whether a split has the class -1 everywhere, as the test splits of GLUE and other competitions have."""
    return hasattr(rows.features.get(label), "names") and rows.unique(label) == [-1]


@dataclass(kw_only=True, eq=False, repr=False)
class HubTexts(StreamableTexts):
    """Texts with a class or a number; the dataset's own splits are kept, missing ones are cut from its
    training rows.

    Args:
        path: id on the hub, such as rotten_tomatoes, or a local folder.
        text: column that is read as text.
        text_pair: column with a second text, which is read together with the first; None = there is none.
        label: column to predict.
        revision: tag, branch or commit of the dataset; None = the newest, which may change at any time.
        subset: name of the configuration, where the dataset has several.
        target: whether the label is a class or a number.
        num_classes: declared number of classes.
        num_targets: declared number of real-valued targets, 1.
    """

    path: str
    text: str
    label: str
    revision: str | None = None
    subset: str | None = None
    target: Literal["class", "number"] = "class"
    num_classes: int | None = None
    num_targets: int | None = None
    text_pair: str | None = None

    @property
    def texts(self) -> list[str]:
        """The columns that are read as texts."""
        return [name for name in (self.text, self.text_pair) if name]

    def prepare(self) -> Prepared:
        if self.streaming:
            return self._prepare_stream()
        splits = {}
        for name, rows in sources.hub(self.path, self.revision, self.subset).items():
            if name not in SPLIT_NAMES:
                continue
            if self.target == "class" and hidden_labels(rows, self.label):
                log.warning("The labels of the %s split of %s are hidden, so it is left out", name, self.path)
                continue
            splits[SPLIT_NAMES[name]] = rows
        if "train" not in splits:
            raise UserError(f'The dataset "{self.path}" has no train split, so a model cannot be trained.')
        names = splits["train"].column_names
        for key, column in (("text", self.text), ("text_pair", self.text_pair), ("label", self.label)):
            if column is not None and column not in names:
                raise no_column(f'The dataset "{self.path}"', column, names, f"data.{key}")
        classes = sources.hub_classes(splits, self.label) if self.target == "class" else None
        version = f" at revision {self.revision}" if self.revision else ""
        name, source = Path(self.path).name, f"hub {self.path}{version}, splits {', '.join(splits)}"
        digest, reading = self._digest(splits), {"text": self.text, "label": self.label}
        if self.text_pair is not None:
            pairs = FoundRows(name, lambda: self._rows(splits, classes), source, digest, reading)
            return prepare_text_pairs(pairs, self.texts, self.encoded(), self.splitting, classes, [self.label])
        return prepare_texts(
            name,
            lambda: (TextRow(row.first, row.target, row.split) for row in self._rows(splits, classes)),
            self.encoded(self.text),
            self.splitting,
            source=source,
            digest=digest,
            reading=reading,
            class_names=classes,
            target_names=[self.label],
        )

    def _prepare_stream(self) -> Prepared:
        splits = {
            SPLIT_NAMES[name]: rows
            for name, rows in sources.hub_stream(self.path, self.revision, self.subset).items()
            if name in SPLIT_NAMES
        }
        if "train" not in splits:
            raise UserError(f'The dataset "{self.path}" has no train split, so a model cannot be trained.')
        classes = None
        if self.target == "class":
            classes = sources.hub_stream_classes(self.path, self.revision, self.subset, self.label)

        def read(split: str, start: int) -> Iterator[TextRow]:
            coded = getattr((splits[split].features or {}).get(self.label), "names", None)
            for number, row in enumerate(splits[split].skip(start), start + 1):
                where = f"{self.path}, {split} row {number}"
                for column in (self.text, self.label):
                    if column not in row:
                        raise no_column(where, column, row)
                text = text_of(row[self.text], f'{where}, column "{self.text}"')
                yield TextRow(text, self._target(row, where, classes, coded))

        source = f"hub {self.path}{f' at revision {self.revision}' if self.revision else ''}, read as a stream"
        version = f"{self.path} {self.revision} {self.subset}"
        files = (
            sorted(file for file in Path(self.path).rglob("*") if file.is_file()) if Path(self.path).is_dir() else []
        )
        digest = hashlib.sha256("".join([version, *map(cache.file_digest, files)]).encode()).hexdigest()
        reading = {"text": self.text, "label": self.label, "target": self.target}
        found = StreamSource(Path(self.path).name, read, list(splits), source, digest, reading)
        return self.streamed(found, self.text, self.text_pair is not None, classes, [self.label])

    def _rows(self, splits: dict[str, Any], classes: list[str] | None) -> Iterator[PairedRow]:
        for part, rows in splits.items():
            coded = getattr(rows.features[self.label], "names", None)
            with progress.bar(f"Reading {self.path}", len(rows)) as update:
                for number, row in enumerate(rows.select_columns([*self.texts, self.label]), 1):
                    where = f"{self.path}, {part} row {number}"
                    texts = [text_of(row[name], f'{where}, column "{name}"') for name in self.texts]
                    yield PairedRow(texts[0], "".join(texts[1:]), self._target(row, where, classes, coded), part)
                    update(number)

    def _target(self, row: dict, where: str, classes: list[str] | None, coded: list[str] | None) -> str | float:
        value = row[self.label]
        if value is None or value == "" or (coded and not 0 <= value < len(coded)):
            raise UserError(
                f'{where}, column "{self.label}": {value!r} is not a label. Datasets often hide the labels of '
                f"their test split; copy such a dataset and keep only its labelled rows."
            )
        if classes is not None:
            return coded[value] if coded else str(value)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise UserError(f'{where}, column "{self.label}": {value!r} is not a number.') from None

    def _digest(self, splits: dict[str, Any]) -> str:
        """Return the SHA-256 of the rows, remembered by the fingerprints that the library gives its tables."""

        def write(folder: Path) -> None:
            digest = hashlib.sha256()
            for part, rows in splits.items():
                digest.update(part.encode())
                for row in rows.select_columns([*self.texts, self.label]):
                    digest.update(json.dumps(row, sort_keys=True, default=str).encode())
            (folder / "digest.txt").write_text(digest.hexdigest())

        key = {"prints": {part: rows._fingerprint for part, rows in splits.items()}, "path": self.path}
        key |= {"text": self.texts, "label": self.label}
        return (cache.prepared("digest", key, write) / "digest.txt").read_text()
