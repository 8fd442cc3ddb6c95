"""What all datasets of texts with classes share: a dataset defines where its rows come from, the rest is done here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.texts import TextRow, prepare_texts
from runner.datamodules.text_data import TextData
from runner.files import cache, sources


class Found(NamedTuple):
    """The rows of a dataset, and a description of them.

    Args:
        name: readable beginning of the prepared folder's name.
        rows: starts a new stream of the rows.
        class_names: names of the classes, in order; None = the targets are numbers.
        source: one line that says where the rows come from.
        digest: SHA-256 of what is read.
        reading: what else decides which rows are read, JSON-able.
        target_names: names of the numbers; None = the targets are classes.
    """

    name: str
    rows: Callable[[], Iterable[TextRow]]
    class_names: list[str] | None
    source: str
    digest: str
    reading: dict
    target_names: list[str] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class TextClasses(TextData):
    """Texts with one class each. A subclass writes `find`.

    Args:
        num_classes: declared number of classes.
        path: a copy of the source on this machine; None = the packaged or fetched one.
    """

    num_classes: int = 2
    max_len: int = 100
    path: str | None = None

    @property
    def copy(self) -> Path | None:
        """The user's own copy of the source."""
        return None if self.path is None else Path(self.path)

    def find(self) -> Found:
        """Return where the rows come from.

        Raises:
            UserError: the rows cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define find()")

    def fetched(self, archive: sources.Archive, otherwise: str) -> tuple[Path, str]:
        """Return the file of an archive, `data.path` or the fetched one, and its SHA-256."""
        if self.copy is None:
            return sources.archive(archive, otherwise), archive.sha256
        return self.copy, cache.file_digest(self.copy)

    def prepare(self) -> Prepared:
        found = self.find()
        return prepare_texts(
            found.name,
            found.rows,
            self.encoded(),
            self.splitting,
            source=found.source,
            digest=found.digest,
            reading=found.reading,
            class_names=found.class_names,
            target_names=found.target_names,
        )
