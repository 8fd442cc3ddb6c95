"""What all datasets of texts with classes share: a dataset says where its rows come from, the rest is done here."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.texts import TextRow, TextSettings, prepare_texts
from runner.files import cache, sources


class Found(NamedTuple):
    """The rows of a dataset, and what is told about them.

    Args:
        name: readable beginning of the prepared folder's name.
        rows: starts a new stream of the rows.
        class_names: names of the classes, in order.
        source: one line that says where the rows come from.
        digest: SHA-256 of what is read.
        reading: what else decides which rows are read, JSON-able.
    """

    name: str
    rows: Callable[[], Iterable[TextRow]]
    class_names: list[str]
    source: str
    digest: str
    reading: dict


class TextClasses(DataModule):
    """Texts with one class each. A subclass writes `find`.

    Args:
        num_classes: declared number of classes.
        vocab_size: words in the vocabulary at most, PAD and UNK included.
        max_len: words kept of a text.
        path: a copy of the source on this machine; None = the packaged one, or the one that is fetched.
        tokenizer: word, regex, penn, char, jieba, bpe, wordpiece, or the dotted path of a function text -> tokens.
        min_count: words rarer than this in the training split become UNK.
        truncate: which part of a longer text is kept: head, tail or both.
        stopwords: language whose stop words are left out, such as english or chinese; None = none are.
        stem: language whose stemmer cuts the words, such as english; None = they stay as they are.
        bucket: whether texts of similar length come together in a training batch, so that there is less padding.
        batch_size: texts of a training batch.
        eval_batch_size: texts of a validation or test batch; None = at least 256.
        split_seed: of the division into splits.
        fold: which of `folds` parts is the test split and the next one for validation; where the source has a test
            split of its own, the next part of its training texts is for validation.
        folds: number of equal parts.
    """

    def __init__(
        self,
        num_classes: int = 2,
        vocab_size: int = 10_000,
        max_len: int = 100,
        path: str | None = None,
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
        self.path = None if path is None else Path(path)
        self.settings = TextSettings("text", tokenizer, vocab_size, max_len, min_count, truncate, stopwords, stem)
        self.bucket = bucket
        self.declared = {"num_classes": num_classes}

    def find(self) -> Found:
        """Say where the rows come from.

        Raises:
            UserError: they cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define find()")

    def fetched(self, archive: sources.Archive, otherwise: str) -> tuple[Path, str]:
        """Return the file of an archive, `data.path` or the fetched one, and its SHA-256."""
        if self.path is None:
            return sources.archive(archive, otherwise), archive.sha256
        return self.path, cache.file_digest(self.path)

    def prepare(self) -> Prepared:
        found = self.find()
        return prepare_texts(
            found.name,
            found.rows,
            self.settings,
            self.splitting,
            source=found.source,
            digest=found.digest,
            reading=found.reading,
            class_names=found.class_names,
        )
