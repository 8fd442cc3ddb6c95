"""Pairs of texts in one row, `<start> first <end> second <end>`: encoded once, kept in the cache, then memory-mapped.

The two marks are those that a pretrained encoder has for this ([CLS] and [SEP] of BERT). Any other vocabulary gets them
as well, between PAD, UNK and the words, so that a row looks the same whatever cuts the texts.

A prepared folder holds the tokens of all rows one after another (`tokens.npy`, int32, with `offsets.npy`), where the
second text of each begins (`second.npy`), the raw pairs (`rows.jsonl`), `targets.npy`, the row numbers of each split,
and `codec.json`.

Shape letters: B batch, T tokens, N rows.
"""

import json
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

from runner.datamodules.parts.batches import Subset, TextPairs, padded
from runner.datamodules.parts.codecs import Codec, TextInputs, cells
from runner.datamodules.parts.pairs import MARKS, PairRows
from runner.datamodules.parts.prepared import FoundRows, Prepared, SplitSettings
from runner.datamodules.parts.splits import OWN, PARTS, by_group
from runner.datamodules.parts.targets import numbers_of_names, raw_target, target_array, targets_for
from runner.datamodules.parts.tensors import single
from runner.datamodules.parts.texts import TextSettings
from runner.errors import UserError
from runner.files import cache
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.pretrained_pieces import InFolder
from runner.text.tokenizers import fingerprint, tokenizer, truncated
from runner.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary

ROOM = 3  # marks of a row


class PairedRow(NamedTuple):
    """Two texts, their class name or real value, and the split the source has put them into (None = split here)."""

    first: str
    second: str
    target: str | float | tuple[str, ...] | tuple[float, ...]
    split: str | None = None


class PairInputs(Codec):
    """Two texts as one row of token numbers, and which of them a token belongs to.

    Args:
        names: the raw columns of first and second text.
        pipeline: the function text -> tokens; its max_len is that of a whole row, the marks included.
        vocabulary: numbers of the tokens, those of the two marks among them.
    """

    kind = "text_pair"

    def __init__(self, names: Sequence[str], pipeline: Pipeline, vocabulary: Vocabulary):
        self.names, self.pipeline, self.vocabulary = list(names), pipeline, vocabulary

    @property
    def max_len(self) -> int | None:
        """Tokens of a row that are kept, the three marks included; None = all."""
        return self.pipeline.max_len

    @property
    def columns(self) -> dict[str, str]:
        return dict.fromkeys(self.names, "string")

    def numbers(self, row: dict) -> tuple[list[int], int]:
        """Return the token numbers of a row, and the place where its second text begins."""
        first, second = (self.pipeline.words(str(cells([row], name)[0])) for name in self.names)
        if self.max_len is not None:
            kept = shares(len(first), len(second), self.max_len - ROOM)
            first, second = (
                truncated(tokens, most, self.pipeline.truncate)
                for tokens, most in zip((first, second), kept, strict=True)
            )
        unknown = [SPECIALS[UNK]]
        before = [START, *(first or unknown), END]
        return self.vocabulary.encode([*before, *(second or unknown), END]), len(before)

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return token numbers and segments, both (B, T), int64, see `TextPairs`."""
        found = [self.numbers(row) for row in rows]
        longest = max((len(numbers) for numbers, _ in found), default=1)
        tokens = torch.tensor([row + [PAD] * (longest - len(row)) for row, _ in found], dtype=torch.int64)
        return tokens, segments_of(tokens, torch.tensor([second for _, second in found]))

    def decode(self, numbers: Iterable[int]) -> str:
        return self.pipeline.joined(self.vocabulary.readable(numbers))

    def features(self, rows: list[dict]) -> list[str]:
        """Return both texts of each row as one, for scikit-learn's vectorisers."""
        both = [" ".join(str(row[name]) for name in self.names) for row in rows]
        return [" ".join(self.pipeline.words(text)) for text in both] if self.pipeline.settings.finds_words else both

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        made = [TextInputs(name, self.pipeline, self.vocabulary).example(rows, draw) for name in self.names]
        return [first | second for first, second in zip(*made, strict=True)]

    def state(self) -> dict[str, Any]:
        return {"names": self.names, **self.pipeline.state(), "vocabulary": self.vocabulary.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(state["names"], Pipeline.from_state(state), Vocabulary(**state["vocabulary"]))

    @classmethod
    def made(cls, names: Sequence[str], settings: TextSettings, texts: Iterable[str]) -> Self:
        """Return the codec of two columns, with one vocabulary made from the texts of the training split."""
        return cls(names, *marked(settings, texts))


def marked(settings: TextSettings, texts: Iterable[str]) -> tuple[Pipeline, Vocabulary]:
    """Return what cuts texts, and a vocabulary that has the two marks, made from the texts of the training split.

    Raises:
        UserError: the tokeniser of a pretrained model has no marks, or a row no room for two words.
    """
    if settings.max_len < ROOM + 2:
        raise UserError(f"data.max_len={settings.max_len} is too small: three marks and two words make {ROOM + 2}")
    tokens = TokenSettings(settings.tokenizer, settings.stopwords, settings.stem)
    if not tokens.learns:
        counts = Counter(chain.from_iterable(map(Pipeline(tokens), texts)))
        return settings.pipeline(), Vocabulary.build(counts, settings.vocab_size, settings.min_count, MARKS)
    there = isinstance(tokenizer(settings.tokenizer), InFolder)
    size = settings.vocab_size if there else settings.vocab_size - len(MARKS) + len(SPECIALS)
    learned = tokens.learned_from(texts, size, settings.min_count)
    specials = getattr(learned, "specials", SPECIALS) if there else MARKS
    if START not in specials or END not in specials:
        raise UserError(
            f"data.tokenizer={settings.tokenizer} has no marks for the beginning and the end of a text, such as "
            "[CLS] and [SEP]: two texts cannot be told apart with it"
        )
    vocabulary = Vocabulary([*specials, *learned.tokens[len(specials) if there else len(SPECIALS) :]], specials)
    return settings.pipeline(learned.state()), vocabulary


def shares(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens of two texts fit into `room` places: the longer text loses its tokens first."""
    of_second = min(second, max(room - first, room // 2))
    return min(first, room - of_second), of_second


def segments_of(tokens: Tensor, second: Tensor) -> Tensor:
    """Return 1 for the tokens (B, T) of the second text, which begins at the places `second` (B,), 0 elsewhere."""
    return ((torch.arange(tokens.size(1)) >= second.unsqueeze(1)) & (tokens != PAD)).long()


class PairTextSplit:
    """Pairs of texts; a batch is padded to its own longest row.

    Args:
        tokens: all tokens of all rows.
        offsets: where each row starts; one more entry than rows.
        second: place in its row where each second text begins (N,), int64.
        targets: one target for each row.
    """

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray, second: Tensor, targets: Tensor):
        self.tokens, self.offsets, self.second, self.targets = tokens, offsets, second, targets

    def __len__(self) -> int:
        return len(self.targets)

    def lengths(self) -> Tensor:
        """Tokens of each row, int64 (N,)."""
        return torch.from_numpy(np.diff(self.offsets).astype(np.int64))

    def gather(self, index: Tensor, draw: torch.Generator) -> TextPairs:
        tokens = padded(self.tokens, self.offsets, index, int(self.lengths().max()))
        return TextPairs(tokens, segments_of(tokens, self.second[index]), self.targets[index])


class StoredPairs(PairRows):
    """The raw pairs of a prepared folder.

    Args:
        folder: the prepared folder.
        index: rows of each split.
        target: class numbers (N,) or real values (N, D).
    """

    def __init__(self, folder: Path, index: dict[str, np.ndarray], target: np.ndarray):
        super().__init__(folder, index)
        self.target = target

    def targets(self, part: str) -> np.ndarray:
        return single(self.target[self.index[part]])


def prepare_text_pairs(
    found: FoundRows[PairedRow],
    names: Sequence[str],
    settings: TextSettings,
    splitting: SplitSettings,
    class_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
) -> Prepared:
    """Return the splits of a dataset of pairs of texts, prepared now or earlier with the same settings.

    Pairs with the same first text are in the same split, so that no tested one has been seen in training, unless the
    source has its own splits.

    Args:
        found: the pairs.
        names: the raw columns of first and second text.
        settings: how texts are encoded; max_len is that of both together with three marks.
        splitting: how rows are divided.
        class_names: names of the classes, in order; None = the targets are real values.
        target_names: names of the real-valued targets.
    """
    key = {
        "digest": found.digest,
        "reading": found.reading,
        "names": list(names),
        "settings": asdict(settings) | {"tokenizer": fingerprint(settings.tokenizer)},
        "splitting": asdict(splitting),
        "classes": list(class_names) if class_names is not None else None,
    }

    def write(part: Path) -> None:
        _write(part, list(found.rows()), names, settings, splitting, class_names)

    folder = cache.prepared(found.name, key, write)
    inputs = Codec.restored(json.loads((folder / "codec.json").read_text(encoding="utf-8")))
    index = {part: np.load(folder / f"{part}.npy") for part in PARTS}
    target = np.load(folder / "targets.npy")
    targets = targets_for(target[index["train"]], class_names, target_names)
    tokens, offsets = np.load(folder / "tokens.npy", mmap_mode="r"), np.load(folder / "offsets.npy")
    store = PairTextSplit(tokens, offsets, torch.from_numpy(np.load(folder / "second.npy")), targets.encode(target))
    made: dict[str, Any] = {part: Subset(store, torch.from_numpy(index[part])) for part in PARTS}
    rows = StoredPairs(folder, index, target)
    return Prepared(inputs, targets, **made, rows=rows, source=found.source, digest=found.digest, facts=targets.facts)


def _write(
    folder: Path,
    rows: list[PairedRow],
    names: Sequence[str],
    settings: TextSettings,
    splitting: SplitSettings,
    class_names: Sequence[str] | None,
) -> None:
    """Fill a prepared folder."""
    if not rows:
        raise UserError("The source has no rows.")
    own = np.array([OWN[row.split] for row in rows], dtype=np.int8)
    groups = np.array([f"{row.split} {row.first}" for row in rows])  # what the source has put into a split stays there
    splits = by_group(groups, splitting, own if own.any() else None)
    class_numbers = numbers_of_names(class_names)
    target = target_array(np.ravel([raw_target(row.target, class_numbers) for row in rows]), len(rows), class_names)
    training = (rows[number] for number in splits.train)
    inputs = PairInputs.made(names, settings, chain.from_iterable((row.first, row.second) for row in training))
    numbers, offsets, second = array("i"), array("q", [0]), array("q")
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
        for row in rows:
            raw = dict(zip(names, (row.first, row.second), strict=True))
            tokens, place = inputs.numbers(raw)
            numbers.extend(tokens)
            offsets.append(len(numbers))
            second.append(place)
            file.write(json.dumps(raw, ensure_ascii=False) + "\n")
    np.save(folder / "tokens.npy", np.array(numbers, dtype=np.int32))
    np.save(folder / "offsets.npy", np.array(offsets))
    np.save(folder / "second.npy", np.array(second))
    np.save(folder / "targets.npy", target)
    for part, index in zip(PARTS, splits, strict=True):
        np.save(folder / f"{part}.npy", index)
    (folder / "codec.json").write_text(json.dumps(inputs.stored(), ensure_ascii=False), encoding="utf-8")
