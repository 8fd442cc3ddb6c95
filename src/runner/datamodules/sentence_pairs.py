"""Sentences and their translations: English and Chinese, packaged, or any file of pairs.

Sources: the sentences of the package hsk-sentences-audio (CC BY-SA; simple sentences for the levels of the Chinese
proficiency test HSK); files of the project Tatoeba as manythings.org offers them: source, target, attribution, with
tabs between them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.datamodules.pair_data import FoundPairs, PairData
from runner.datamodules.parts.pairs import TextPair
from runner.errors import UserError
from runner.files import cache, sources
from runner.files.tables import missing

ARCHIVE = sources.Archive(
    kind="pip",
    name="hsk-sentences-audio",
    version="1.0.0",
    filename="hsk_sentences_audio-1.0.0-py3-none-any.whl",
    sha256="9bf16cc7b48a24a10af83d377439d3c6f7571a380937f4645a1cd1590d5d0335",
)
MEMBER = "hsk_sentences_audio/data/sentences.json"


@dataclass(kw_only=True, eq=False, repr=False)
class PairFile(PairData):
    """A text file with one pair a line: source, tab, target; what follows another tab is left out.

    Args:
        path: the file.
    """

    path: str

    def find(self) -> FoundPairs:
        return in_file(Path(self.path))


@dataclass(kw_only=True, eq=False, repr=False)
class EnglishChinese(PairData):
    """4 352 English sentences and their Chinese translations.

    Args:
        path: a file of pairs, such as cmn.txt of Tatoeba; None = the packaged sentences.
    """

    path: str | None = None
    tgt_level: str = "char"

    def find(self) -> FoundPairs:
        if self.path is not None:
            return in_file(Path(self.path))
        file = sources.archive(ARCHIVE, "read a file of pairs, source, tab, target: data.path=cmn.txt")
        return FoundPairs("en_zh", lambda: packaged_pairs(file), f"{ARCHIVE}, {MEMBER}", ARCHIVE.sha256, {})


def in_file(file: Path) -> FoundPairs:
    """The pairs of a file.

    Raises:
        UserError: it does not exist.
    """
    if not file.is_file():
        raise missing(file, str(file))
    return FoundPairs(
        file.stem, lambda: pair_lines(file), str(file), cache.file_digest(file), {"lines": "source, target"}
    )


def pair_lines(file: Path) -> Iterator[TextPair]:
    """Yield the pairs of a file; empty lines are left out.

    Raises:
        UserError: a line without a tab, or with nothing on one side of it.
    """
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        source, _, rest = line.partition("\t")
        target = rest.split("\t")[0]
        if not (source.strip() and target.strip()):
            raise UserError(f"{file}, line {number}: expected source, tab, target; received {line[:60]!r}.")
        yield TextPair(source.strip(), target.strip())


def packaged_pairs(file: Path) -> Iterator[TextPair]:
    """Yield the pairs of the package, each once."""
    seen = set()
    for row in json.loads(sources.read_member(file, MEMBER)):
        pair = TextPair(row["translation"]["en"].strip(), row["chinese"].strip())
        if pair not in seen:
            seen.add(pair)
            yield pair
