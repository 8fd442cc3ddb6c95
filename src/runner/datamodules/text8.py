"""text8: the first 100 million characters of the English Wikipedia, small letters and single spaces, one line.

Source: Matt Mahoney, About the Test Data, 2006, the file text8 or the archive text8.zip with it. As usual the first 90
million characters are for training, 5 million each for validation and test; the text has no sentences and is cut every
10 000 words or so.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.datamodules.corpus import Corpus, Document, Reading
from runner.errors import UserError
from runner.files import cache
from runner.files.tables import missing

SHARES = {"train": 0.9, "val": 0.95, "test": 1.0}  # where each split ends


@dataclass(kw_only=True, eq=False, repr=False)
class Text8(Corpus):
    """Three documents, one for each split; words are what stands between spaces."""

    tokenizer: str = "space"

    def find(self) -> Reading:
        path = Path(self.path or "")
        if not path.is_file():
            raise missing(path, str(self.path))
        return Reading(lambda: documents_of(unpacked(path)), f"text8, {self.path}", cache.file_digest(path))


def unpacked(path: Path) -> str:
    """Return the text, also from the archive."""
    if not zipfile.is_zipfile(path):
        return path.read_text(encoding="ascii")
    with zipfile.ZipFile(path) as archive:
        if "text8" not in archive.namelist():
            raise UserError(f"{path} holds no file text8; it holds: {', '.join(archive.namelist()[:8])}")
        return archive.read("text8").decode("ascii")


def documents_of(text: str) -> Iterator[Document]:
    """Yield the documents, cut at spaces."""
    start = 0
    for split, share in SHARES.items():
        place = text.find(" ", int(len(text) * share))
        end = place if place >= 0 else len(text)
        yield Document([text[start:end]], split)
        start = end
