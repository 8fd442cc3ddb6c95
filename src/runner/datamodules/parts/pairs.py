"""Pairs of texts, a source and the target to be written: encoded once, kept in the cache, then memory-mapped.

A prepared folder holds the tokens of each side one after another (`source.npy`, `target.npy`, int32, with
`source_offsets.npy`, `target_offsets.npy`), the raw pairs (`rows.jsonl`), the row numbers of each split, and
`codecs.json`.

Shape letters: B batch, S source tokens, T target tokens.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import IGNORE, Subset, padded
from runner.datamodules.parts.codecs import Codec, Columns, TextInputs
from runner.datamodules.parts.prepared import Prepared, SplitSettings
from runner.datamodules.parts.splits import OWN, PARTS, by_group
from runner.datamodules.parts.targets import Targets
from runner.errors import UserError
from runner.files import cache
from runner.files.cells import text_of
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import END, PAD, SPECIALS, START, Vocabulary

MARKS = (*SPECIALS, START, END)
SIDES = ("source", "target")


class Pairs(NamedTuple):
    """Source (B, S); target so far (B, T), from the start mark on; the token after each (B, T), -100 = none."""

    src: Tensor
    tgt_in: Tensor
    tgt_out: Tensor


class TextPair(NamedTuple):
    """A source and its target, and the split the data has put them into (None = to be split here)."""

    source: str
    target: str
    split: str | None = None


@dataclass(frozen=True)
class SideSettings:
    """How the texts of one side are encoded.

    Args:
        level: word, char, or any other tokeniser (see `runner.text.tokenizers`).
        vocab_size: at most this many entries of the vocabulary, the special ones included.
        max_len: tokens of a text that are kept, marks included.
        min_count: rarer tokens become UNK.
        marks: whether a text begins and ends with a mark, as one that is written has to.
    """

    level: str
    vocab_size: int
    max_len: int
    min_count: int = 1
    marks: bool = False

    @property
    def specials(self) -> tuple[str, ...]:
        return MARKS if self.marks else SPECIALS

    def codec(self, column: str, texts: Iterable[str]) -> TextInputs:
        """Return the codec of a column, made from the texts of the training split."""
        tokens = TokenSettings(self.level)
        if tokens.learns:
            learned = tokens.learned_from(texts, self.vocab_size - len(self.specials) + len(SPECIALS), self.min_count)
            vocabulary = Vocabulary([*self.specials, *learned.tokens[len(SPECIALS) :]], self.specials)
            return TextInputs(column, Pipeline(tokens, self.max_len, learned=learned.state()), vocabulary)
        cut = Pipeline(tokens)
        counts = Counter(chain.from_iterable(map(cut, texts)))
        vocabulary = Vocabulary.build(counts, self.vocab_size, self.min_count, self.specials)
        return TextInputs(column, Pipeline(tokens, self.max_len), vocabulary)


class WrittenTexts(Targets):
    """Targets that are texts; a text is as the truth if it has the same words."""

    kind = "texts"

    def columns(self, label: str | None = None) -> list[str]:
        return [label or "target"]

    def read(self, row: dict[str, Any], place: str) -> str:
        ((column, cell),) = row.items()
        return text_of(cell, f'{place}, column "{column}"')

    def error(self, answer: dict[str, Any], truth: str) -> tuple[float, dict[str, Any]]:
        return float(answer["prediction"].split() != truth.split()), {"target": truth}


class PairSplit:
    """Pairs of rows of tokens; a batch is padded to its own longest source and its own longest target.

    Args:
        sides: tokens and offsets of source and target, see `runner.datamodules.parts.batches.padded`.
        max_lens: tokens of source and target that are kept.
    """

    def __init__(self, sides: Sequence[tuple[np.ndarray, np.ndarray]], max_lens: Sequence[int]):
        (self.src, self.src_offsets), (self.tgt, self.tgt_offsets) = sides
        self.src_len, self.tgt_len = max_lens

    def __len__(self) -> int:
        return len(self.src_offsets) - 1

    def lengths(self) -> Tensor:
        """Tokens of each pair, source and target together, int64 (N,)."""
        return torch.from_numpy(np.diff(self.src_offsets) + np.diff(self.tgt_offsets)).to(torch.int64)

    def gather(self, index: Tensor, draw: torch.Generator) -> Pairs:
        src = padded(self.src, self.src_offsets, index, self.src_len)
        return as_batch(src, padded(self.tgt, self.tgt_offsets, index, self.tgt_len))


def as_batch(src: Tensor, tgt: Tensor) -> Pairs:
    """Move the target (B, T + 1) by one token: what is read, and what comes next."""
    after = tgt[:, 1:]
    real = after != PAD
    return Pairs(src, torch.where(real, tgt[:, :-1], PAD), torch.where(real, after, IGNORE))


class TokenBatches(Subset):
    """Rows of similar length in batches of about equally many tokens: as many rows as fit.

    Args:
        split: the split that holds the rows.
        index: numbers of the rows that belong to this one, int64.
        batch_tokens: tokens of a batch at most, padding included; a longer row is a batch of its own.
    """

    def __init__(self, split: PairSplit, index: Tensor, batch_tokens: int):
        super().__init__(split, index)
        self.batch_tokens = batch_tokens

    def order(self, batch_size: int, draw: torch.Generator | None) -> list[Tensor]:
        """Rows sorted by length, equally long ones in a new order in each epoch, the batches in a new order too."""
        lengths = self.lengths()
        mixed = torch.arange(len(self)) if draw is None else torch.randperm(len(self), generator=draw)
        mixed = mixed[lengths[mixed].argsort(stable=True)]
        batches = list(mixed.split(self.sizes(lengths[mixed].tolist())))
        if draw is not None:
            batches = [batches[place] for place in torch.randperm(len(batches), generator=draw).tolist()]
        return batches

    def sizes(self, lengths: list[int]) -> list[int]:
        """Rows of each batch, from the lengths in ascending order: the same in every epoch."""
        sizes: list[int] = [0]
        for length in lengths:
            if sizes[-1] and (sizes[-1] + 1) * length > self.batch_tokens:
                sizes.append(0)
            sizes[-1] += 1
        return sizes


class PairRows:
    """The raw rows of a prepared folder.

    Args:
        folder: the prepared folder.
        index: rows of each split.
        label: the column that is to be predicted.
    """

    def __init__(self, folder: Path, index: dict[str, np.ndarray], label: str = "target"):
        self.folder, self.index, self.label = folder, index, label

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        wanted = self.index[part][:limit]
        with open(self.folder / "rows.jsonl", encoding="utf-8") as lines:
            last = int(wanted.max(initial=-1)) + 1
            rows = dict(enumerate(islice(lines, last)))
        return [json.loads(rows[number]) for number in wanted.tolist()]

    def targets(self, part: str) -> np.ndarray:
        return np.array([row[self.label] for row in self.raw(part)], dtype=object)


def prepare_pairs(
    name: str,
    rows: Callable[[], Iterable[TextPair]],
    source: SideSettings,
    target: SideSettings,
    splitting: SplitSettings,
    where: str,
    digest: str,
    reading: dict,
    batch_tokens: int | None = None,
    shared_vocab: bool = False,
) -> Prepared:
    """Return the splits of a dataset of pairs, prepared now or earlier with the same settings.

    Pairs with the same source are in the same split, so that no tested source has been seen in training.

    Args:
        name: readable beginning of the prepared folder's name.
        rows: starts a new stream of the pairs; called only when nothing is prepared yet.
        source: how sources are encoded.
        target: how targets are encoded.
        splitting: how rows are divided.
        where: one line that says where the data came from.
        digest: SHA-256 of what is read.
        reading: settings that decide which rows there are, JSON-able.
        batch_tokens: tokens of a training batch; None = batches have a fixed number of rows.
        shared_vocab: whether the vocabulary of each side is made from the texts of both.
    """
    key = {
        "digest": digest,
        "reading": reading,
        "sides": [asdict(source), asdict(target)],
        "splitting": asdict(splitting),
        **({"shared_vocab": True} if shared_vocab else {}),
    }
    folder = cache.prepared(name, key, lambda part: _write(part, list(rows()), source, target, splitting, shared_vocab))
    inputs = Codec.restored(json.loads((folder / "codecs.json").read_text(encoding="utf-8")))
    assert isinstance(inputs, Columns)
    index = {part: np.load(folder / f"{part}.npy") for part in PARTS}
    sides = [
        (np.load(folder / f"{side}.npy", mmap_mode="r"), np.load(folder / f"{side}_offsets.npy")) for side in SIDES
    ]
    store = PairSplit(sides, (source.max_len, target.max_len))
    made: dict[str, Any] = {part: Subset(store, torch.from_numpy(index[part])) for part in PARTS}
    if batch_tokens is not None:
        made["train"] = TokenBatches(store, torch.from_numpy(index["train"]), batch_tokens)
    return Prepared(inputs, WrittenTexts([]), **made, rows=PairRows(folder, index), source=where, digest=digest)


def _write(
    folder: Path,
    rows: list[TextPair],
    source: SideSettings,
    target: SideSettings,
    splitting: SplitSettings,
    shared_vocab: bool,
) -> None:
    """Fill a prepared folder."""
    if not rows:
        raise UserError("The source has no pairs.")
    sources = np.array([row.source for row in rows], dtype=object)
    own = np.array([OWN[row.split] for row in rows], dtype=np.int8)
    splits = by_group(sources, splitting, own if own.any() else None)
    training = [rows[number] for number in splits.train]
    texts = {side: [getattr(row, side) for row in training] for side in SIDES}
    both = [text for side in SIDES for text in texts[side]]
    settings = zip(SIDES, (source, target), strict=True)
    columns = Columns({side: of_side.codec(side, both if shared_vocab else texts[side]) for side, of_side in settings})
    raw = [{"source": row.source, "target": row.target} for row in rows]
    for side in SIDES:
        codec = columns.parts[side]
        assert isinstance(codec, TextInputs)
        numbers = [codec.vocabulary.encode(tokens) for tokens in codec.tokens(raw)]
        np.save(folder / f"{side}.npy", np.fromiter(chain.from_iterable(numbers), dtype=np.int32))
        np.save(folder / f"{side}_offsets.npy", np.cumsum([0, *map(len, numbers)]))
    for part, index in zip(PARTS, splits, strict=True):
        np.save(folder / f"{part}.npy", index)
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in raw)
    (folder / "codecs.json").write_text(json.dumps(columns.stored(), ensure_ascii=False), encoding="utf-8")
