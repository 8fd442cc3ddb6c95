"""Texts that are read while a net trains: a corpus larger than memory, or, of the hub, larger than the disk.

The training rows come in the order of the source, a block at a time; the rows of a block are shuffled. One pass over
them, before training, counts them and finds the targets; the vocabulary is that of the first ones. A resumed run skips
to the block it was in and shuffles it in the same way, so it sees the batches it would have seen. Validation and test
rows stay in memory: those of the source, at most so many, or else the first rows, which are then not trained on.

A prepared folder holds `targets.npy` of the training rows, the rows of the other splits and `codec.json`.

Shape letters: N rows.
"""

import json
import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import Texts, TextSplit, padded
from runner.datamodules.parts.codecs import Codec, TextInputs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.targets import Targets, numbers_of_names, raw_target, target_array, targets_for
from runner.datamodules.parts.tensors import single
from runner.datamodules.parts.texts import TextRow, TextSettings
from runner.errors import UserError
from runner.files import cache
from runner.text.tokenizers import fingerprint
from runner.text.vocabulary import SPECIALS, Vocabulary

log = logging.getLogger(__name__)


class StreamSettings(NamedTuple):
    """How much of a stream is kept.

    Args:
        block: rows that are shuffled together.
        held_out: rows of the validation split, and of the test split, at most.
        vocab_rows: training rows that the vocabulary is made from.
    """

    block: int
    held_out: int
    vocab_rows: int


class StreamSource(NamedTuple):
    """The rows of a source, and a description of them.

    Args:
        name: readable beginning of the prepared folder's name.
        rows: starts reading a split of the source at a row, counted from 0.
        splits: which of train, val and test the source has.
        source: one line that says where the rows come from.
        digest: SHA-256 of what is read, or of what says which version it is.
        reading: what else decides which rows there are, JSON-able.
    """

    name: str
    rows: Callable[[str, int], Iterator[TextRow]]
    splits: Sequence[str]
    source: str
    digest: str
    reading: dict


class BlockOrder(Sequence[Tensor]):
    """The row numbers of each batch: the blocks come one after another, the rows of a block in random order.

    Args:
        rows: number of rows N.
        block: rows of a block.
        batch_size: rows of a batch.
        seed: of the orders; None = nothing is shuffled.
    """

    def __init__(self, rows: int, block: int, batch_size: int, seed: int | None):
        self.rows, self.block, self.batch_size, self.seed = rows, block, batch_size, seed
        self.of_block = -(-min(block, rows) // batch_size)  # batches of a whole block
        self.made: tuple[int, Tensor] | None = None  # the last block that was asked for

    def __len__(self) -> int:
        whole, rest = divmod(self.rows, self.block)
        return whole * self.of_block + -(-rest // self.batch_size)

    def __getitem__(self, number: int) -> Tensor:  # type: ignore[override]
        block, place = divmod(number, self.of_block)
        if self.made is None or self.made[0] != block:
            self.made = (block, self.rows_of(block))
        return self.made[1][place * self.batch_size : (place + 1) * self.batch_size]

    def rows_of(self, block: int) -> Tensor:
        """The row numbers of a block in their order, int64."""
        start = block * self.block
        size = min(self.block, self.rows - start)
        if self.seed is None:
            return start + torch.arange(size)
        draw = torch.Generator().manual_seed((self.seed + block * 0x9E3779B1) % (1 << 63))
        return start + torch.randperm(size, generator=draw)


class StreamSplit:
    """Rows that are read when they are needed; one block of them is in memory.

    Args:
        rows: starts reading at a row, counted from 0.
        inputs: encodes texts.
        targets: the encoded target of each row.
        block: rows of a block.
    """

    def __init__(self, rows: Callable[[int], Iterator[TextRow]], inputs: TextInputs, targets: Tensor, block: int):
        self.rows, self.inputs, self.targets, self.block = rows, inputs, targets, block
        self.start = -1  # first row of the block that is in memory
        self.tokens, self.offsets = np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64)
        self.reader: Iterator[TextRow] = iter(())
        self.next = -1  # the row that the reader comes to

    def __len__(self) -> int:
        return len(self.targets)

    def order(self, batch_size: int, draw: torch.Generator | None) -> BlockOrder:
        """Return the row numbers of each batch, see `Ordered`."""
        return BlockOrder(len(self), self.block, batch_size, None if draw is None else draw.initial_seed())

    def gather(self, index: Tensor, draw: torch.Generator) -> Texts:
        start = int(index[0]) // self.block * self.block
        if start != self.start:
            self.load(start)
        longest = int(np.diff(self.offsets).max())
        return Texts(padded(self.tokens, self.offsets, index - start, longest), self.targets[index])

    def load(self, start: int) -> None:
        """Read the block that begins at a row; from where the last one ended, or by skipping to it."""
        if start != self.next:
            self.reader = self.rows(start)
        self.tokens, self.offsets = encoded((row.text for row in islice(self.reader, self.block)), self.inputs)
        self.start, self.next = start, start + len(self.offsets) - 1
        wanted = min(self.block, len(self) - start)
        if len(self.offsets) - 1 < wanted:
            raise UserError(f"The source has fewer rows than before: {self.next} of {len(self)}. Start the run anew.")


def encoded(texts: Iterator[str], inputs: TextInputs) -> tuple[np.ndarray, np.ndarray]:
    """Return the token numbers of texts one after another, int32, and where each begins, int64."""
    numbers, offsets = array("i"), array("q", [0])
    for text in texts:
        (tokens,) = inputs.tokens([{inputs.column: text}])
        numbers.extend(inputs.vocabulary.encode(tokens))
        offsets.append(len(numbers))
    return np.array(numbers, dtype=np.int32), np.array(offsets)


class StreamedRows:
    """Raw rows of a stream; those of training are read from its beginning.

    Args:
        rows: starts reading the training rows.
        held: texts of the other splits.
        column: name of the text column.
        target: raw targets of each split, (N,) or (N, D).
    """

    def __init__(
        self,
        rows: Callable[[int], Iterator[TextRow]],
        held: dict[str, list[str]],
        column: str,
        target: dict[str, np.ndarray],
    ):
        self.rows, self.held, self.column, self.target = rows, held, column, target

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        texts = (row.text for row in self.rows(0)) if part == "train" else self.held[part]
        return [{self.column: text} for text in islice(texts, limit)]

    def targets(self, part: str) -> np.ndarray:
        return single(self.target[part])


def prepare_stream(
    found: StreamSource,
    settings: TextSettings,
    how: StreamSettings,
    class_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
) -> Prepared:
    """Return the splits of a source whose training rows are read while a net trains.

    Args:
        found: the source.
        settings: how texts are encoded.
        how: how much of it is kept.
        class_names: names of the classes, or `LabelNames`; None = the targets are real values.
        target_names: names of the real-valued targets.
    """
    key = {
        "digest": found.digest,
        "reading": found.reading,
        "settings": asdict(settings) | {"tokenizer": fingerprint(settings.tokenizer)},
        "stream": [how.held_out, how.vocab_rows],
        "classes": list(class_names) if class_names is not None else None,
    }
    first = sum(how.held_out for part in ("val", "test") if part not in found.splits)  # rows that are kept out

    def training(start: int) -> Iterator[TextRow]:
        return found.rows("train", first + start)

    def write(folder: Path) -> None:
        _write(folder, found, training, settings, how, class_names)

    folder = cache.prepared(f"stream_{found.name}", key, write)
    inputs = Codec.restored(json.loads((folder / "codec.json").read_text(encoding="utf-8")))
    assert isinstance(inputs, TextInputs), "_write stored one"
    target = {part: np.load(folder / f"{part}_targets.npy") for part in ("train", "val", "test")}
    rows = len(target["train"])
    log.info(
        "Streaming: %d training rows are read in blocks of %d; the vocabulary is that of the first %d; %s",
        rows, how.block, min(rows, how.vocab_rows),
        f"the first {first} rows are kept for validation and test" if first else "validation and test are the source's",
    )  # fmt: skip
    held = {part: json.loads((folder / f"{part}.json").read_text(encoding="utf-8")) for part in ("val", "test")}
    targets = targets_for(target["train"], class_names, target_names)
    store = StreamSplit(training, inputs, targets.encode(target["train"]), how.block)
    kept = {part: _in_memory(texts, inputs, targets, target[part]) for part, texts in held.items()}
    raw = StreamedRows(training, held, settings.column, target)
    return Prepared(
        inputs, targets, store, kept["val"], kept["test"], raw, found.source, found.digest, facts=targets.facts
    )


def _in_memory(texts: list[str], inputs: TextInputs, targets: Targets, target: np.ndarray) -> TextSplit:
    tokens, offsets = encoded(iter(texts), inputs)
    return TextSplit(tokens, offsets, targets.encode(target), max_len=int(np.diff(offsets).max(initial=1)))


def _write(
    folder: Path,
    found: StreamSource,
    training: Callable[[int], Iterator[TextRow]],
    settings: TextSettings,
    how: StreamSettings,
    class_names: Sequence[str] | None,
) -> None:
    """Fill a prepared folder from one pass over the rows."""
    numbers = numbers_of_names(class_names)
    place = 0
    for part in ("val", "test"):
        own = part in found.splits
        rows = list(islice(found.rows(part if own else "train", 0 if own else place), how.held_out))
        place += 0 if own else how.held_out
        _save_targets(
            folder, part, [value for row in rows for value in raw_target(row.target, numbers)], len(rows), class_names
        )
        (folder / f"{part}.json").write_text(
            json.dumps([row.text for row in rows], ensure_ascii=False), encoding="utf-8"
        )
    target, count = array("d"), 0
    for row in training(0):
        target.extend(raw_target(row.target, numbers))
        count += 1
    if not count:
        raise UserError(f"{found.source}: no rows are left for training after {place} for validation and test.")
    _save_targets(folder, "train", target, count, class_names)
    inputs = _inputs((row.text for row in islice(training(0), how.vocab_rows)), settings)
    (folder / "codec.json").write_text(json.dumps(inputs.stored(), ensure_ascii=False), encoding="utf-8")


def _save_targets(
    folder: Path, part: str, values: Sequence[float], rows: int, class_names: Sequence[str] | None
) -> None:
    np.save(folder / f"{part}_targets.npy", target_array(values, rows, class_names))


def _inputs(texts: Iterator[str], settings: TextSettings) -> TextInputs:
    """Return what encodes texts, with a vocabulary made from these."""
    pipeline = settings.pipeline()
    if pipeline.settings.learns:
        learned = pipeline.settings.learned_from(texts, settings.vocab_size, settings.min_count)
        vocabulary = Vocabulary(learned.tokens, getattr(learned, "specials", SPECIALS))
        return TextInputs(settings.column, settings.pipeline(learned.state()), vocabulary)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(pipeline(text))
    vocabulary = Vocabulary.build(counts, settings.vocab_size, settings.min_count)
    return TextInputs(settings.column, pipeline, vocabulary)
