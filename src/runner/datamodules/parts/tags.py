"""Sentences with a tag for each token: encoded once, kept in the cache, then memory-mapped.

Tags are BIO: B-KIND begins a span, I-KIND continues it, O is outside. O has the number 0, and the k-th of the kinds, in
alphabetical order, has 2k - 1 for B and 2k for I, whether a file has both or not.

Words may be cut into pieces: the first piece of a word then has its tag, the others have none (-100), as in Jacob
Devlin et al., BERT, NAACL 2019, section 5.3.

A prepared folder holds the tokens of all sentences one after another (`tokens.npy`, int32, with `offsets.npy`), their
tags (`tags.npy`), the raw rows (`rows.jsonl`), the row numbers of each split, and `codecs.json`.

Shape letters: B batch, T tokens, N rows.
"""

import json
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import IGNORE, Subset, padded
from runner.datamodules.parts.codecs import Codec, TextInputs, cells
from runner.datamodules.parts.pairs import PairRows
from runner.datamodules.parts.prepared import FoundRows, Prepared, SplitSettings
from runner.datamodules.parts.splits import OWN, PARTS
from runner.datamodules.parts.targets import Targets
from runner.datamodules.parts.texts import TextSettings
from runner.errors import UserError, closest
from runner.files import cache
from runner.files.cells import text_of
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.tokenizers import fingerprint
from runner.text.vocabulary import SPECIALS, UNK, Vocabulary

OUTSIDE = "O"


class Tagged(NamedTuple):
    """Token numbers (B, T), int64, padded with PAD; the tag of each (B, T), int64, -100 where no tag is wanted."""

    tokens: Tensor
    target: Tensor


class TaggedSentence(NamedTuple):
    """Tokens and their tags, and the split the data has put them into (None = to be split here)."""

    tokens: list[str]
    tags: list[str]
    split: str | None = None


class Span(NamedTuple):
    """A kind and the tokens from `start` to before `end`."""

    kind: str
    start: int
    end: int


def spans_of(tags: Iterable[str]) -> list[Span]:
    """Return the spans of BIO tags; an I that continues nothing of its kind begins a span, as in conlleval."""
    found: list[Span] = []
    kind, start = "", 0  # of the span that is open; "" = none is
    for place, tag in enumerate([*tags, OUTSIDE]):
        mark, _, named = tag.partition("-")
        if mark == "I" and named == kind:
            continue
        if kind:
            found.append(Span(kind, start, place))
        kind, start = named, place  # O has no name
    return found


def tag_names(kinds: Iterable[str]) -> list[str]:
    """Return the tags of these kinds in the order of their numbers."""
    return [OUTSIDE, *(f"{mark}-{kind}" for kind in sorted(set(kinds)) for mark in "BI")]


class Tags(Targets):
    """Targets that are a tag for each token, written with spaces between them.

    Args:
        names: of the tags, in the order of their numbers.
    """

    kind = "tags"

    @property
    def facts(self) -> dict[str, Any]:
        return {"num_tags": len(self.names)}

    def columns(self, label: str | None = None) -> list[str]:
        return [label or "tags"]

    def read(self, row: dict[str, Any], place: str) -> list[str]:
        ((column, cell),) = row.items()
        tags = text_of(cell, f'{place}, column "{column}"').split()
        for tag in tags:
            if tag not in self.names:
                raise UserError(
                    f'{place}, column "{column}": {tag!r} is not a tag of this model.{closest(tag, self.names)} '
                    f"Tags: {', '.join(self.names)}"
                )
        return tags

    def encode(self, truths: Sequence[Sequence[str]]) -> Tensor:
        """Return tag numbers (N, T), int64, -100 behind the shorter rows."""
        longest = max(map(len, truths), default=1)
        numbers = [[self.names.index(tag) for tag in tags] for tags in truths]
        return torch.tensor([row + [IGNORE] * (longest - len(row)) for row in numbers], dtype=torch.int64)

    def decode(self, values: Tensor) -> list[list[str]]:
        """Return the tags of numbers (N, T)."""
        return [[self.names[number] for number in row if number != IGNORE] for row in values.tolist()]

    def error(self, answer: dict[str, Any], truth: list[str]) -> tuple[float, dict[str, Any]]:
        """Return the share of the tokens with a wrong tag."""
        pairs = list(zip(answer["tags"].split(), truth, strict=True))
        return sum(one != other for one, other in pairs) / len(pairs), {"truth": " ".join(truth)}


class PiecedWords(TextInputs):
    """Words cut into pieces, between the marks of the vocabulary if it has some.

    Args:
        column: name of the raw column.
        pipeline: cuts a word into pieces.
        vocabulary: numbers of the pieces.
        words: the function text -> words, by its name.
    """

    kind = "pieced_words"

    def __init__(self, column: str, pipeline: Pipeline, vocabulary: Vocabulary, words: str):
        super().__init__(column, pipeline, vocabulary)
        self.cutter, self.cut = words, Pipeline(TokenSettings(words))

    def pieces(self, words: Iterable[str]) -> tuple[list[str], list[int]]:
        """Return the pieces of a text between its marks, as many as fit, and where each word that is kept begins."""
        most = (self.max_len or sys.maxsize) - len(self.last)
        pieces, places = list(self.first), []
        for word in words:
            found = self.pipeline.words(word) or [SPECIALS[UNK]]
            if len(pieces) + len(found) > most:
                break
            places.append(len(pieces))
            pieces += found
        return [*pieces, *self.last], places

    def tokens(self, rows: list[dict]) -> list[list[str]]:
        return [self.pieces(words)[0] for words in self.words(rows)]

    def words(self, rows: list[dict]) -> list[list[str]]:
        """Return the words of each row."""
        return [self.cut.words(str(text)) or [SPECIALS[UNK]] for text in cells(rows, self.column)]

    def state(self) -> dict[str, Any]:
        return super().state() | {"words": self.cutter}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        vocabulary = Vocabulary(**state["vocabulary"])
        return cls(state["column"], Pipeline.from_state(state), vocabulary, state["words"])


def tagged_words(inputs: TextInputs, rows: list[dict]) -> list[tuple[list[str], list[int]]]:
    """Return the words of each row that are kept, and which of its tokens has the tag of each."""
    if not isinstance(inputs, PiecedWords):
        return [(words, list(range(len(words)))) for words in inputs.tokens(rows)]
    found = [(words, inputs.pieces(words)[1]) for words in inputs.words(rows)]
    return [(words[: len(places)], places) for words, places in found]


class TaggedSplit:
    """Tagged sentences; a batch is padded to its own longest one.

    Args:
        tokens: tokens of all sentences.
        tags: the tag of each token.
        offsets: where each sentence starts; one more entry than sentences.
        max_len: tokens of a sentence that are kept.
    """

    def __init__(self, tokens: np.ndarray, tags: np.ndarray, offsets: np.ndarray, max_len: int):
        self.tokens, self.tags, self.offsets, self.max_len = tokens, tags, offsets, max_len

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self) -> Tensor:
        """Tokens of each sentence, int64 (N,)."""
        return torch.from_numpy(np.minimum(np.diff(self.offsets), self.max_len).astype(np.int64))

    def gather(self, index: Tensor, draw: torch.Generator) -> Tagged:
        tokens = padded(self.tokens, self.offsets, index, self.max_len)
        places = torch.arange(tokens.size(1))
        tags = padded(self.tags, self.offsets, index, self.max_len)
        return Tagged(tokens, tags.where(places < self.lengths()[index].unsqueeze(1), IGNORE))


def prepare_tags(
    found: FoundRows[TaggedSentence], settings: TextSettings, splitting: SplitSettings, pieces: str | None = None
) -> Prepared:
    """Return the splits of a dataset of tagged sentences, prepared now or earlier with the same settings.

    Args:
        found: the sentences.
        settings: how a text becomes tokens where it is not tagged; the vocabulary and the longest sentence.
        splitting: how sentences are divided.
        pieces: what cuts each word into pieces; None = words stay whole.
    """
    key = {
        "digest": found.digest,
        "reading": found.reading,
        "settings": asdict(settings),
        "splitting": asdict(splitting),
    } | ({} if pieces is None else {"pieces": fingerprint(pieces)})
    folder = cache.prepared(found.name, key, lambda part: _write(part, list(found.rows()), settings, splitting, pieces))
    codecs = json.loads((folder / "codecs.json").read_text(encoding="utf-8"))
    index = {part: np.load(folder / f"{part}.npy") for part in PARTS}
    tokens, tags = (np.load(folder / f"{piece}.npy", mmap_mode="r") for piece in ("tokens", "tags"))
    store = TaggedSplit(tokens, tags, np.load(folder / "offsets.npy"), settings.max_len)
    made: dict[str, Any] = {part: Subset(store, torch.from_numpy(index[part])) for part in PARTS}
    targets = Targets.restored(codecs["targets"])
    return Prepared(
        Codec.restored(codecs["inputs"]),
        targets,
        **made,
        rows=PairRows(folder, index, "tags"),
        source=found.source,
        digest=found.digest,
        facts=targets.facts,
    )


def _write(
    folder: Path, rows: list[TaggedSentence], settings: TextSettings, splitting: SplitSettings, pieces: str | None
) -> None:
    """Fill a prepared folder."""
    if not rows:
        raise UserError("The source has no sentences.")
    own = np.array([OWN[row.split] for row in rows], dtype=np.int8)
    splits = splitting(len(rows), None, own if own.any() else None)
    inputs = tagged_codec([rows[number].tokens for number in splits.train], settings, pieces)
    targets = Tags(tag_names(tag[2:] for row in rows for tag in row.tags if tag != OUTSIDE))
    numbers = {tag: number for number, tag in enumerate(targets.names)}
    tokens, tags, offsets = array("i"), array("i"), [0]
    for row in rows:
        if isinstance(inputs, PiecedWords):
            cut, places = inputs.pieces(row.tokens)
            of_pieces = [IGNORE] * len(cut)
            for place, tag in zip(places, row.tags, strict=False):  # what does not fit is left out
                of_pieces[place] = numbers[tag]
        else:
            cut, of_pieces = row.tokens, [numbers[tag] for tag in row.tags]
        tokens.extend(inputs.vocabulary.encode(cut))
        tags.extend(of_pieces)
        offsets.append(len(tokens))
    np.save(folder / "tokens.npy", np.array(tokens, dtype=np.int32))
    np.save(folder / "tags.npy", np.array(tags, dtype=np.int32))
    np.save(folder / "offsets.npy", np.array(offsets))
    for part, index in zip(PARTS, splits, strict=True):
        np.save(folder / f"{part}.npy", index)
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
        for row in rows:
            raw = {settings.column: " ".join(row.tokens), "tags": " ".join(row.tags)}
            file.write(json.dumps(raw, ensure_ascii=False) + "\n")
    codecs = {"inputs": inputs.stored(), "targets": targets.stored()}
    (folder / "codecs.json").write_text(json.dumps(codecs, ensure_ascii=False), encoding="utf-8")


def tagged_codec(sentences: list[list[str]], settings: TextSettings, pieces: str | None) -> TextInputs:
    """Return what encodes texts, made from the sentences of the training split."""
    if pieces is None:
        counts = Counter(chain.from_iterable(sentences))
        vocabulary = Vocabulary.build(counts, settings.vocab_size, settings.min_count)
        return TextInputs(settings.column, settings.pipeline(), vocabulary)
    cutting = TokenSettings(pieces)
    if not cutting.learns:
        raise UserError(
            f"data.tokenizer={pieces} cuts texts into words, and these are given: type wordpiece, bpe, or the folder "
            "of a run or of a pretrained model"
        )
    learned = cutting.learned_from((" ".join(words) for words in sentences), settings.vocab_size, settings.min_count)
    vocabulary = Vocabulary(learned.tokens, getattr(learned, "specials", SPECIALS))
    pipeline = Pipeline(cutting, settings.max_len, learned=learned.state())
    return PiecedWords(settings.column, pipeline, vocabulary, settings.tokenizer)
