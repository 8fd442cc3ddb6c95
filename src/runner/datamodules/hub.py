"""Any text dataset of the Hugging Face hub, or a folder in its layout, through `datasets.load_dataset`."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.texts import TextRow, TextSettings, prepare_texts
from runner.errors import UserError, closest
from runner.files import cache, progress, sources
from runner.files.rows import SPLIT_NAMES, VOCAB_SIZE


class HubTexts(DataModule):
    """Texts with a class or a number; the dataset's own splits are kept, missing ones are cut from its
    training rows.

    Args:
        path: id on the hub, such as rotten_tomatoes, or a local folder.
        text: column that is read as text.
        label: column to predict.
        revision: tag, branch or commit of the dataset; None = the newest, which may change under your hands.
        subset: name of the configuration, where the dataset has several.
        target: whether the label is a class or a number.
        num_classes: declared number of classes.
        num_targets: declared number of real-valued targets, 1.
        vocab_size: words in the vocabulary at most, PAD and UNK included.
        max_len: words kept of a text.
        tokenizer: word, regex, penn, char, jieba, bpe, wordpiece, or the dotted path of a function text -> tokens.
        min_count: words rarer than this in the training split become UNK.
        truncate: which part of a longer text is kept: head, tail or both.
        stopwords: language whose stop words are left out, such as english or chinese; None = none are.
        stem: language whose stemmer cuts the words, such as english; None = they stay as they are.
        bucket: whether texts of similar length come together in a training batch, so that there is less padding.
        batch_size: rows of a training batch.
        eval_batch_size: rows of a validation or test batch; None = at least 256.
        split_seed: of the division into splits.
        fold: which of `folds` parts is the test split.
        folds: number of equal parts.
    """

    def __init__(
        self,
        path: str,
        text: str,
        label: str,
        revision: str | None = None,
        subset: str | None = None,
        target: Literal["class", "number"] = "class",
        num_classes: int | None = None,
        num_targets: int | None = None,
        vocab_size: int = VOCAB_SIZE,
        max_len: int = 256,
        tokenizer: str = "word",
        min_count: int = 1,
        truncate: Literal["head", "tail", "both"] = "head",
        stopwords: str | None = None,
        stem: str | None = None,
        bucket: bool = False,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        split_seed: int = 0,
        fold: int = 0,
        folds: int = 10,
    ):
        super().__init__(batch_size, eval_batch_size, split_seed, fold, folds)
        self.path, self.label, self.revision, self.subset, self.target = path, label, revision, subset, target
        self.settings = TextSettings(text, tokenizer, vocab_size, max_len, min_count, truncate, stopwords, stem)
        self.bucket = bucket
        self.declared = {"num_classes": num_classes, "num_targets": num_targets}

    def prepare(self) -> Prepared:
        splits = {}
        for name, rows in sources.hub(self.path, self.revision, self.subset).items():
            if name in SPLIT_NAMES:
                splits[SPLIT_NAMES[name]] = rows
        if "train" not in splits:
            raise UserError(f'The dataset "{self.path}" has no train split, so there is nothing to learn from.')
        names = splits["train"].column_names
        for key, column in (("text", self.settings.column), ("label", self.label)):
            if column not in names:
                raise UserError(
                    f'The dataset "{self.path}" has no column "{column}" (data.{key}). '
                    f"Columns: {', '.join(names)}.{closest(column, names)}"
                )
        classes = sources.hub_classes(splits, self.label) if self.target == "class" else None
        version = f" at revision {self.revision}" if self.revision else ""
        digest = self._digest(splits)
        return prepare_texts(
            Path(self.path).name,
            lambda: self._rows(splits, classes),
            self.settings,
            self.splitting,
            source=f"hub {self.path}{version}, splits {', '.join(splits)}",
            digest=digest,
            reading={"text": self.settings.column, "label": self.label},
            class_names=classes,
            target_names=[self.label],
        )

    def _rows(self, splits: dict[str, Any], classes: list[str] | None) -> Iterator[TextRow]:
        for part, rows in splits.items():
            coded = getattr(rows.features[self.label], "names", None)
            with progress.bar(f"Reading {self.path}", len(rows)) as update:
                for number, row in enumerate(rows.select_columns([self.settings.column, self.label]), 1):
                    where = f"{self.path}, {part} row {number}"
                    yield TextRow(self._text(row, where), self._target(row, where, classes, coded), part)
                    update(number)

    def _text(self, row: dict, where: str) -> str:
        text = row[self.settings.column]
        if text is None or not str(text).strip():
            raise UserError(f'{where}, column "{self.settings.column}": the text is empty (length zero).')
        return str(text)

    def _target(self, row: dict, where: str, classes: list[str] | None, coded: list[str] | None) -> str | float:
        value = row[self.label]
        if value is None or value == "" or (coded and not 0 <= value < len(coded)):
            raise UserError(
                f'{where}, column "{self.label}": {value!r} is no label. Datasets often hide the labels of '
                f"their test split; such a dataset has to be copied and cut to its labelled rows."
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
                for row in rows.select_columns([self.settings.column, self.label]):
                    digest.update(json.dumps(row, sort_keys=True, default=str).encode())
            (folder / "digest.txt").write_text(digest.hexdigest())

        key = {"prints": {part: rows._fingerprint for part, rows in splits.items()}, "path": self.path}
        key |= {"text": self.settings.column, "label": self.label}
        return (cache.prepared("digest", key, write) / "digest.txt").read_text()
