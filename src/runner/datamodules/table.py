"""A user's own table: a text column or number columns, classes or real values (read by runner.files.rows)."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import PARTS
from runner.datamodules.parts.tensors import prepare_numbers
from runner.datamodules.parts.texts import TextRow, TextSettings, prepare_texts
from runner.files import rows


class Table(DataModule):
    """Rows of a file, of a folder with train, val and test files, or of a http(s) address.

    Args:
        path: the file (CSV, TSV, JSON, JSONL, Parquet, text), folder or address.
        label: column to predict.
        text: column that is read as text; None = the number columns are the features.
        features: number columns; None = all but the label.
        target: whether the label is a class or a number.
        num_classes: declared number of classes.
        num_targets: declared number of real-valued targets, 1.
        in_features: declared number of number columns.
        vocab_size: words in the vocabulary at most, PAD and UNK included.
        max_len: words kept of a text.
        tokenizer: word, regex, penn, char, jieba, bpe, wordpiece, or the dotted path of a function text -> tokens.
        min_count: words rarer than this in the training split become UNK.
        truncate: which part of a longer text is kept: head, tail or both.
        stopwords: language whose stop words are left out, such as english or chinese; None = none are.
        stem: language whose stemmer cuts the words, such as english; None = they stay as they are.
        bucket: whether texts of similar length come together in a training batch, so that there is less padding.
        encoding: of text formats, such as utf-8, latin-1, cp1252, utf-16, gbk.
        delimiter: between the cells of CSV and TSV files; None = comma or tab by the file's ending.
        quoted: whether quotation marks enclose cells; False = they are ordinary characters.
        batch_size: rows of a training batch.
        eval_batch_size: rows of a validation or test batch; None = at least 256.
        split_seed: of the division into splits.
        fold: which of `folds` parts is the test split.
        folds: number of equal parts.
    """

    def __init__(
        self,
        path: str,
        label: str,
        text: str | None = None,
        features: Sequence[str] | None = None,
        target: Literal["class", "number"] = "class",
        num_classes: int | None = None,
        num_targets: int | None = None,
        in_features: int | None = None,
        vocab_size: int = rows.VOCAB_SIZE,
        max_len: int = 256,
        tokenizer: str = "word",
        min_count: int = 1,
        truncate: Literal["head", "tail", "both"] = "head",
        stopwords: str | None = None,
        stem: str | None = None,
        bucket: bool = False,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        quoted: bool = True,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        split_seed: int = 0,
        fold: int = 0,
        folds: int = 10,
    ):
        super().__init__(batch_size, eval_batch_size, split_seed, fold, folds)
        columns = tuple(features) if features is not None else None
        self.reading = rows.Settings(str(path), text, label, columns, target, encoding, delimiter, quoted)
        words = (tokenizer, vocab_size, max_len, min_count, truncate, stopwords, stem)
        self.encoding = TextSettings(text, *words) if text else None
        self.bucket = bucket and text is not None
        self.declared = {"num_classes": num_classes, "num_targets": num_targets, "in_features": in_features}

    def prepare(self) -> Prepared:
        found = rows.facts(self.reading)
        names = found.classes if self.reading.target == "class" else None
        return self._prepare_texts(names) if self.encoding else self._prepare_numbers(found.features, names)

    def _prepare_texts(self, class_names: list[str] | None) -> Prepared:
        reading = self.reading
        return prepare_texts(
            Path(reading.path).stem or "table",
            lambda: (TextRow(row.text, row.target, row.split) for row in rows.rows(reading)),
            self.encoding,
            self.splitting,
            source=f"table {reading.path}",
            digest=rows.digest(reading),
            reading={name: getattr(reading, name) for name in ("text", "label", "encoding", "delimiter", "quoted")},
            class_names=class_names,
            target_names=[reading.label],
        )

    def _prepare_numbers(self, features: list[str], class_names: list[str] | None) -> Prepared:
        values, target, own = array("d"), array("d"), array("b")
        own_numbers = {None: 0, **{part: number for number, part in enumerate(PARTS)}}
        class_numbers = {name: number for number, name in enumerate(class_names or ())}
        for row in rows.rows(self.reading, features):
            values.extend(row.numbers)
            target.append(row.target if class_names is None else class_numbers[row.target])
            own.append(own_numbers[row.split])
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
            source=f"table {self.reading.path}",
            digest=rows.digest(self.reading),
            class_names=class_names,
            target_names=[self.reading.label],
        )
