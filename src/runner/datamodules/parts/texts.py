"""Datasets of texts of any size: streamed once, stored as flat arrays in the cache, then memory-mapped.

A prepared folder holds the tokens of all rows one after another (`tokens.npy`, int32, with `offsets.npy`),
the raw texts (`texts.bin`, UTF-8, with `text_offsets.npy`), `targets.npy`, the row numbers of each split, and
`meta.json`.
"""

import json
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch

from runner.datamodules.parts.batches import Subset, TextSplit
from runner.datamodules.parts.codecs import TextInputs
from runner.datamodules.parts.prepared import Prepared, SplitSettings
from runner.datamodules.parts.splits import OWN, PARTS
from runner.datamodules.parts.targets import numbers_of_names, raw_target, target_array, targets_for
from runner.datamodules.parts.tensors import single
from runner.errors import UserError
from runner.files import cache
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.tokenizers import fingerprint
from runner.text.vocabulary import SPECIALS, UNK, Vocabulary

CHUNK = 1 << 20  # tokens handled at a time


class TextRow(NamedTuple):
    """A text, its class name or real value, or several, and the split of the source (None = to be split here)."""

    text: str
    target: str | float | tuple[str, ...] | tuple[float, ...]
    split: str | None = None


@dataclass(frozen=True)
class TextSettings:
    """How texts are encoded.

    Args:
        column: name of the raw column.
        tokenizer: name of the function text -> tokens.
        vocab_size: at most this many entries of the vocabulary, including PAD and UNK.
        max_len: tokens of a row that are kept.
        min_count: rarer tokens become UNK.
        truncate: which part of a longer row is kept: head, tail or both.
        stopwords: language whose stop words are left out; None = none.
        stem: language whose stemmer cuts the words; None = no stemming.
        sentence_len: places of a sentence, see `Pipeline`; None = a text is one row of tokens.
    """

    column: str
    tokenizer: str
    vocab_size: int
    max_len: int
    min_count: int = 1
    truncate: str = "head"
    stopwords: str | None = None
    stem: str | None = None
    sentence_len: int | None = None

    def pipeline(self, learned: dict | None = None) -> Pipeline:
        """Return the function text -> tokens; `learned` is the state of a tokeniser that learns."""
        tokens = TokenSettings(self.tokenizer, self.stopwords, self.stem)
        return Pipeline(tokens, self.max_len, self.truncate, learned, sentence_len=self.sentence_len)


class StoredTexts:
    """Raw rows of a prepared folder.

    Args:
        folder: the prepared folder.
        column: name of the raw column.
        index: rows of each split.
        target: class numbers (N,) or real values (N, D).
    """

    def __init__(self, folder: Path, column: str, index: dict[str, np.ndarray], target: np.ndarray):
        self.folder, self.column, self.index, self.target = folder, column, index, target

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        offsets = np.load(self.folder / "text_offsets.npy", mmap_mode="r")
        with open(self.folder / "texts.bin", "rb") as handle:
            return [
                {self.column: _slice(handle, int(offsets[row]), int(offsets[row + 1]))}
                for row in self.index[part][:limit]
            ]

    def targets(self, part: str) -> np.ndarray:
        return single(self.target[self.index[part]])


def _slice(handle: BinaryIO, start: int, end: int) -> str:
    handle.seek(start)
    return handle.read(end - start).decode("utf-8")


def prepare_texts(
    name: str,
    rows: Callable[[], Iterable[TextRow]],
    settings: TextSettings,
    splitting: SplitSettings,
    source: str,
    digest: str,
    reading: dict,
    class_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
) -> Prepared:
    """Return the splits of a dataset of texts, prepared now or earlier with the same settings.

    Args:
        name: readable beginning of the prepared folder's name.
        rows: starts a new stream of the rows; called only when nothing is prepared yet.
        settings: how texts are encoded.
        splitting: how rows are divided.
        source: one line that says where the data came from.
        digest: SHA-256 of what is read.
        reading: settings that decide which rows the source yields, JSON-able.
        class_names: names of the classes, in order; None = the targets are real values.
        target_names: names of the real-valued targets.
    """
    key = {
        "digest": digest,
        "reading": reading,
        "settings": asdict(settings) | {"tokenizer": fingerprint(settings.tokenizer)},
        "splitting": asdict(splitting),
        "classes": list(class_names) if class_names is not None else None,
    }
    folder = cache.prepared(name, key, lambda part: _write(part, rows(), settings, splitting, class_names))
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    target = np.load(folder / "targets.npy")
    index = {part: np.load(folder / f"{part}.npy") for part in PARTS}
    targets = targets_for(target[index["train"]], class_names, target_names)
    vocabulary = Vocabulary(meta["vocabulary"], meta.get("specials", SPECIALS))
    inputs = TextInputs(settings.column, settings.pipeline(meta["subword"]), vocabulary)
    tokens, offsets = np.load(folder / "tokens.npy", mmap_mode="r"), np.load(folder / "offsets.npy")
    store = TextSplit(tokens, offsets, targets.encode(target), max_len=int(np.diff(offsets).max()))
    made = {part: Subset(store, torch.from_numpy(index[part])) for part in PARTS}
    stored = StoredTexts(folder, settings.column, index, target)
    return Prepared(inputs, targets, **made, rows=stored, source=source, digest=digest, facts=targets.facts)


def _write(
    folder: Path,
    rows: Iterable[TextRow],
    settings: TextSettings,
    splitting: SplitSettings,
    class_names: Sequence[str] | None,
) -> None:
    """Fill a prepared folder from one pass over the rows."""
    pipeline = settings.pipeline()
    learns = pipeline.settings.learns
    words, found = _stream(folder, rows, None if learns else pipeline, class_names)
    total = len(found.text_offsets) - 1
    target = target_array(found.target, total, class_names)
    own = found.own if found.own.any() else None
    splits = splitting(total, target if target.ndim == 1 else None, own)
    if learns:
        learned, vocabulary, offsets = _learn(folder, settings, found.text_offsets, splits.train)
    else:
        learned, offsets = None, found.offsets
        vocabulary = number_tokens(folder, settings, words, offsets, splits.train)
    np.save(folder / "offsets.npy", offsets)
    np.save(folder / "text_offsets.npy", found.text_offsets)
    np.save(folder / "targets.npy", target)
    for part, index in zip(PARTS, splits, strict=True):
        np.save(folder / f"{part}.npy", index)
    meta = {"vocabulary": vocabulary.tokens, "specials": vocabulary.specials, "subword": learned}
    (folder / "meta.json").write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")


def number_tokens(
    folder: Path,
    settings: TextSettings,
    words: list[str],
    offsets: np.ndarray,
    train: np.ndarray,
    specials: Sequence[str] = SPECIALS,
) -> Vocabulary:
    """Replace the provisional numbers, in order of first appearance, by those of the vocabulary.

    The vocabulary is made from the counts of the training rows, which are known only now.

    Args:
        folder: holds `provisional.bin`, int32, which becomes `tokens.npy`; `counts.npy` is how often each entry of the
            vocabulary occurs in training.
        settings: how large the vocabulary may be.
        words: the tokens by their provisional numbers.
        offsets: where each row starts in the numbers, and where the last one ends.
        train: the rows of the training split.
        specials: special tokens of the vocabulary.
    """
    file = folder / "provisional.bin"
    total = file.stat().st_size // np.dtype(np.int32).itemsize
    in_training = np.zeros(len(offsets) - 1, dtype=bool)
    in_training[train] = True
    counts = np.zeros(len(words), dtype=np.int64)
    for start, end in _chunks(total):
        first, last = np.searchsorted(offsets, [start, end - 1], side="right") - 1  # rows of this chunk
        sizes = np.diff(offsets[first : last + 2].clip(start, end))
        keep = np.repeat(in_training[first : last + 1], sizes)
        counts += np.bincount(_read(file, start, end)[keep], minlength=len(words))
    seen = {word: int(count) for word, count in zip(words, counts, strict=True) if count}
    vocabulary = Vocabulary.build(seen, settings.vocab_size, settings.min_count, specials)

    final = np.fromiter((vocabulary.numbers.get(word, UNK) for word in words), dtype=np.int32, count=len(words))
    np.save(folder / "counts.npy", np.bincount(final, counts, minlength=len(vocabulary)).astype(np.int64))
    header = {"descr": np.lib.format.dtype_to_descr(final.dtype), "fortran_order": False, "shape": (total,)}
    with open(folder / "tokens.npy", "wb") as tokens:  # not memory-mapped: its pages would count as memory
        np.lib.format.write_array_header_1_0(tokens, header)
        for start, end in _chunks(total):
            final[_read(file, start, end)].tofile(tokens)
    file.unlink()
    return vocabulary


def _read(file: Path, start: int, end: int) -> np.ndarray:
    """Return some of the 32-bit numbers of a file."""
    return np.fromfile(file, dtype=np.int32, count=end - start, offset=4 * start)


def _learn(
    folder: Path, settings: TextSettings, text_offsets: np.ndarray, train: np.ndarray
) -> tuple[dict, Vocabulary, np.ndarray]:
    """Train the tokeniser on the training rows, then tokenise all rows; also return the offsets of the rows."""
    (folder / "provisional.bin").unlink()

    def texts(rows: Iterable[int]) -> Iterator[str]:
        with open(folder / "texts.bin", "rb") as handle:
            for row in rows:
                yield _slice(handle, int(text_offsets[row]), int(text_offsets[row + 1]))

    tokenizer = settings.pipeline().settings.learned_from(texts(train), settings.vocab_size, settings.min_count)
    learned = tokenizer.state()
    vocabulary = Vocabulary(tokenizer.tokens, getattr(tokenizer, "specials", SPECIALS))
    inputs = TextInputs(settings.column, settings.pipeline(learned), vocabulary)
    numbers, offsets = array("i"), array("q", [0])
    for text in texts(range(len(text_offsets) - 1)):
        (tokens,) = inputs.tokens([{settings.column: text}])
        numbers.extend(vocabulary.encode(tokens))
        offsets.append(len(numbers))
    np.save(folder / "tokens.npy", np.array(numbers, dtype=np.int32))
    return learned, vocabulary, np.array(offsets)


class _Found(NamedTuple):
    """What the pass over the rows found: where tokens and text of each row begin, its targets and its split."""

    offsets: np.ndarray
    text_offsets: np.ndarray
    target: np.ndarray
    own: np.ndarray


def _stream(
    folder: Path, rows: Iterable[TextRow], pipeline: Pipeline | None, class_names: Sequence[str] | None
) -> tuple[list[str], _Found]:
    """Write texts and provisional tokens of all rows; return the words by their provisional numbers.

    Without a pipeline there are no tokens yet.
    """
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # a new word gets the next number
    class_numbers = numbers_of_names(class_names)
    offsets, text_offsets, target, own = array("q", [0]), array("q", [0]), array("d"), array("b")
    with open(folder / "provisional.bin", "wb") as tokens_file, open(folder / "texts.bin", "wb") as texts_file:
        for row in rows:
            tokens = (pipeline(row.text) or [SPECIALS[UNK]]) if pipeline else []
            array("i", map(numbers.__getitem__, tokens)).tofile(tokens_file)
            text = row.text.encode("utf-8", "replace")
            texts_file.write(text)
            offsets.append(offsets[-1] + len(tokens))
            text_offsets.append(text_offsets[-1] + len(text))
            target.extend(raw_target(row.target, class_numbers))
            own.append(OWN[row.split])
    if not target:
        raise UserError("The source has no rows.")
    found = _Found(*(np.array(values) for values in (offsets, text_offsets, target, own)))
    return list(numbers), found


def _chunks(total: int) -> Iterable[tuple[int, int]]:
    return ((start, min(start + CHUNK, total)) for start in range(0, total, CHUNK))
