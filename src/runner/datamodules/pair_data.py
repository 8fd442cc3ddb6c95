"""What all datasets of pairs share: source and target each have a tokeniser and a vocabulary."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import Codec, Columns
from runner.datamodules.parts.pairs import SideSettings, TextPair, WrittenTexts, prepare_pairs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.targets import Targets
from runner.errors import UserError

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class FoundPairs(NamedTuple):
    """The pairs of a dataset, and a description of them.

    Args:
        name: readable beginning of the prepared folder's name.
        rows: starts a new stream of the pairs.
        source: one line that says where the pairs come from.
        digest: SHA-256 of what is read.
        reading: what else decides which pairs are read, JSON-able.
    """

    name: str
    rows: Callable[[], Iterable[TextPair]]
    source: str
    digest: str
    reading: dict


@dataclass(kw_only=True, eq=False, repr=False)
class PairData(DataModule):
    """Sources and the targets that are to be written for them. A subclass writes `find`.

    Args:
        src_level: tokens of the source: word, char, bpe, jieba or any other tokeniser.
        tgt_level: tokens of the target.
        src_vocab_size: at most this many entries of the source's vocabulary, PAD and UNK included, at least 3.
        tgt_vocab_size: at most this many entries of the target's vocabulary, PAD, UNK and the marks of start and end
            included, at least 5.
        shared_vocab: whether both sides have one vocabulary, made from the texts of both; a source then has the marks
            too, and the two levels and sizes are equal.
        max_len: source tokens that are kept, at least 1.
        tgt_max_len: target tokens that are kept, the two marks included, at least 3.
        min_count: tokens rarer than this in the training split become UNK, at least 1.
        bucket: whether pairs of similar length come together in a training batch, so that there is less padding.
        short_first: in this many epochs at the beginning the pairs come from short to long, at least 0.
        batch_tokens: tokens of a training batch, at least 1; source, target and padding together: as many pairs of
            similar length as fit. None = batch_size pairs.
        bleu_tokenizer: how BLEU cuts a target into words: 13a (most languages), zh, ja-mecab, char or none.
    """

    src_level: str = "word"
    tgt_level: str = "word"
    src_vocab_size: int = 10_000
    tgt_vocab_size: int = 10_000
    shared_vocab: bool = False
    max_len: int = 50
    tgt_max_len: int = 50
    min_count: int = 1
    bucket: bool = True
    short_first: int = 0
    batch_tokens: int | None = None
    bleu_tokenizer: str = "13a"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared_vocab and (self.src_level, self.src_vocab_size) != (self.tgt_level, self.tgt_vocab_size):
            raise UserError(
                "data.shared_vocab=true needs both sides to be alike: data.src_level, data.tgt_level are "
                f"{self.src_level}, {self.tgt_level}; data.src_vocab_size, data.tgt_vocab_size are "
                f"{self.src_vocab_size}, {self.tgt_vocab_size}."
            )

    @property
    def sides(self) -> tuple[SideSettings, SideSettings]:
        """How sources and targets are encoded."""
        return (
            SideSettings(self.src_level, self.src_vocab_size, self.max_len, self.min_count, self.shared_vocab),
            SideSettings(self.tgt_level, self.tgt_vocab_size, self.tgt_max_len, self.min_count, marks=True),
        )

    def find(self) -> FoundPairs:
        """Return where the pairs come from.

        Raises:
            UserError: they cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define find()")

    def plain_answer(self, source: str) -> str | None:
        """A target that needs no model, whose scores stand next to those of the net; None = there is none."""
        return None

    def prepare(self) -> Prepared:
        found = self.find()
        return prepare_pairs(
            found.name,
            found.rows,
            *self.sides,
            self.splitting,
            where=found.source,
            digest=found.digest,
            reading=found.reading,
            batch_tokens=self.batch_tokens,
            shared_vocab=self.shared_vocab,
        )

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets]:
        letters = [LETTERS[: facts[f"{side}_vocab_size"] - 4] for side in ("src", "tgt")]
        parts = zip(("source", "target"), self.sides, letters, strict=True)
        return Columns({column: settings.codec(column, words) for column, settings, words in parts}), WrittenTexts([])

    @property
    def columns(self) -> dict[str, str]:
        """A model that writes is given the source alone."""
        return {"source": "string"}
