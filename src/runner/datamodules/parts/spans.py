"""Questions whose answer is a part of a text, `<start> question <end> text <end>`: encoded once, kept in the cache.

A text that is too long for a row is read in windows that overlap by half, so that every answer which is shorter than
half a window is whole in one of them. A question is trained with the first window that has the answer; it is answered
from the window that is surest.

A prepared folder holds the tokens of these rows one after another (`tokens.npy`, int32, with `offsets.npy`), where the
text of each begins (`second.npy`), first and last token of the answer (`targets.npy`), the raw questions (`rows.jsonl`,
with the byte at which each starts, `lines.npy`), the row numbers of each split, and `codec.json`.

Shape letters: B batch, T tokens, N questions.
"""

import json
import logging
from array import array
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
from runner.datamodules.parts.splits import OWN, PARTS, by_group
from runner.datamodules.parts.targets import Targets
from runner.datamodules.parts.text_pairs import ROOM, marked, segments_of
from runner.datamodules.parts.texts import TextSettings
from runner.errors import UserError
from runner.files import cache
from runner.files.cells import text_of
from runner.text.pipeline import Pipeline
from runner.text.places import Placed, placed
from runner.text.tokenizers import fingerprint
from runner.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary

log = logging.getLogger(__name__)

COLUMNS = ("question", "text")
LONGEST_QUESTION = 64  # tokens


class SpanTexts(NamedTuple):
    """Questions and their texts in rows, all int64.

    Token numbers and segments (B, T), see `TextPairs`; numbers of the questions (B,); first and last token of the
    answer (B, 2), -100 where the row does not have it.
    """

    tokens: Tensor
    segments: Tensor
    question: Tensor
    target: Tensor


class RawSpan(NamedTuple):
    """A question, its text, answers that are all right, and the character at which the first of them begins.

    Questions about texts of the same origin are in the same split; `split` is the one the source has put it into (None
    = to be split here).
    """

    question: str
    text: str
    answers: list[str]
    start: int
    origin: int
    split: str | None = None


class TextWindow(NamedTuple):
    """A row: its token numbers, where the text begins, and the characters that each token of the text covers."""

    numbers: list[int]
    second: int
    characters: list[tuple[int, int]]

    def between(self, start: int, end: int) -> tuple[int, int] | None:
        """Return first and last token of the characters from `start` to before `end`; None = not all are here."""
        covered = [
            place for place, (first, after) in enumerate(self.characters, self.second) if first < end and after > start
        ]
        if not covered:
            return None
        inside = self.characters[0][0] <= start and end <= self.characters[-1][1]
        return (covered[0], covered[-1]) if inside else None


class SpanInputs(Codec):
    """Questions and texts as rows of token numbers, and which of both a token belongs to.

    Args:
        pipeline: the function text -> tokens; its max_len is that of a whole row, the marks included.
        vocabulary: numbers of the tokens, those of the two marks among them.
    """

    kind = "span"

    def __init__(self, pipeline: Pipeline, vocabulary: Vocabulary):
        self.pipeline, self.vocabulary = pipeline, vocabulary

    @property
    def max_len(self) -> int | None:
        """Tokens of a row, the three marks included; None = as many as there are."""
        return self.pipeline.max_len

    @property
    def columns(self) -> dict[str, str]:
        return dict.fromkeys(COLUMNS, "string")

    def windows(self, row: dict) -> list[TextWindow]:
        """Return the rows in which the question is asked: one, or several if the text is long."""
        question, text = (str(cells([row], name)[0]) for name in COLUMNS)
        asked = self.pipeline.words(question)
        found = placed(self.pipeline.cut, text) or [Placed(SPECIALS[UNK], 0, len(text))]
        most = len(asked) + len(found) if self.max_len is None else self.max_len - ROOM
        asked = asked[: min(LONGEST_QUESTION, most // 2)] or [SPECIALS[UNK]]
        size = max(most - len(asked), 1)
        before = self.vocabulary.encode([START, *asked, END])
        (end,) = self.vocabulary.encode([END])
        windows, step = [], max(size // 2, 1)
        for first in range(0, max(len(found) - size + step, 1), step):
            part = found[first : first + size]
            numbers = [*before, *self.vocabulary.encode(each.token for each in part), end]
            windows.append(TextWindow(numbers, len(before), [(each.start, each.end) for each in part]))
        return windows

    def tensors(self, windows: Sequence[TextWindow]) -> tuple[Tensor, Tensor]:
        """Return token numbers and segments of rows, both (B, T), int64."""
        longest = max((len(window.numbers) for window in windows), default=1)
        padded_rows = [window.numbers + [PAD] * (longest - len(window.numbers)) for window in windows]
        tokens = torch.tensor(padded_rows, dtype=torch.int64)
        return tokens, segments_of(tokens, torch.tensor([window.second for window in windows]))

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return token numbers and segments (B, T) of the first window of each row."""
        return self.tensors([self.windows(row)[0] for row in rows])

    def decode(self, numbers: Iterable[int]) -> str:
        return self.pipeline.joined(self.vocabulary.readable(numbers))

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        made = [TextInputs(name, self.pipeline, self.vocabulary).example(rows, draw) for name in COLUMNS]
        return [first | second for first, second in zip(*made, strict=True)]

    def state(self) -> dict[str, Any]:
        return {**self.pipeline.state(), "vocabulary": self.vocabulary.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(Pipeline.from_state(state), Vocabulary(**state["vocabulary"]))


class AnswerTexts(Targets):
    """Targets that are parts of a text; several may be right."""

    kind = "answer_texts"

    def columns(self, label: str | None = None) -> list[str]:
        return [label or "answers"]

    def read(self, row: dict[str, Any], place: str) -> list[str]:
        """Return the right answers: a cell is a list of texts, or one text."""
        ((column, cell),) = row.items()
        given = cell if isinstance(cell, list) else [cell]
        if not given:
            raise UserError(f'{place}, column "{column}": it holds no answer')
        return [text_of(answer, f'{place}, column "{column}"') for answer in given]

    def error(self, answer: dict[str, Any], truth: list[str]) -> tuple[float, dict[str, Any]]:
        wrong = answer["answer"].lower() not in [text.lower() for text in truth]
        return float(wrong), {"answers": " | ".join(truth)}


class SpanSplit:
    """Questions; a batch is padded to its own longest row.

    Args:
        tokens: all tokens of all rows.
        offsets: where each row starts; one more entry than rows.
        second: place in its row where each text begins (N,), int64.
        targets: first and last token of each answer (N, 2), int64.
    """

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray, second: Tensor, targets: Tensor):
        self.tokens, self.offsets, self.second, self.targets = tokens, offsets, second, targets
        self.longest = int(np.diff(offsets).max())

    def __len__(self) -> int:
        return len(self.targets)

    def lengths(self) -> Tensor:
        """Tokens of each row, int64 (N,)."""
        return torch.from_numpy(np.diff(self.offsets).astype(np.int64))

    def gather(self, index: Tensor, draw: torch.Generator) -> SpanTexts:
        tokens = padded(self.tokens, self.offsets, index, self.longest)
        return SpanTexts(tokens, segments_of(tokens, self.second[index]), index, self.targets[index])


class StoredQuestions(PairRows):
    """The raw questions of a prepared folder.

    Args:
        folder: the prepared folder.
        index: rows of each split.
    """

    def __init__(self, folder: Path, index: dict[str, np.ndarray]):
        super().__init__(folder, index, "answers")
        self.lines = np.load(folder / "lines.npy", mmap_mode="r")

    def numbered(self, numbers: Iterable[int]) -> list[dict]:
        """Return the questions with these numbers, whatever their split."""
        with open(self.folder / "rows.jsonl", "rb") as file:
            found = []
            for number in numbers:
                file.seek(int(self.lines[number]))
                found.append(json.loads(file.readline()))
            return found


def prepare_spans(found: FoundRows[RawSpan], settings: TextSettings, splitting: SplitSettings) -> Prepared:
    """Return the splits of a dataset of questions, prepared now or earlier with the same settings.

    Args:
        found: the questions.
        settings: how texts are encoded; max_len is that of a whole row.
        splitting: how rows are divided.
    """
    key = {
        "digest": found.digest,
        "reading": found.reading,
        "settings": asdict(settings) | {"tokenizer": fingerprint(settings.tokenizer)},
        "splitting": asdict(splitting),
    }
    folder = cache.prepared(found.name, key, lambda part: _write(part, list(found.rows()), settings, splitting))
    inputs = Codec.restored(json.loads((folder / "codec.json").read_text(encoding="utf-8")))
    index = {part: np.load(folder / f"{part}.npy") for part in PARTS}
    tokens, offsets = np.load(folder / "tokens.npy", mmap_mode="r"), np.load(folder / "offsets.npy")
    second, targets = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("second", "targets"))
    store = SpanSplit(tokens, offsets, second, targets)
    made: dict[str, Any] = {part: Subset(store, torch.from_numpy(index[part])) for part in PARTS}
    rows = StoredQuestions(folder, index)
    return Prepared(inputs, AnswerTexts([]), **made, rows=rows, source=found.source, digest=found.digest)


def _write(folder: Path, rows: list[RawSpan], settings: TextSettings, splitting: SplitSettings) -> None:
    """Fill a prepared folder."""
    if not rows:
        raise UserError("The source has no questions.")
    own = np.array([OWN[row.split] for row in rows], dtype=np.int8)
    splits = by_group(np.array([row.origin for row in rows]), splitting, own if own.any() else None)
    training = (rows[number] for number in splits.train)
    inputs = SpanInputs(*marked(settings, chain.from_iterable((row.question, row.text) for row in training)))
    numbers, offsets, second, targets, lines = array("i"), array("q", [0]), array("q"), array("q"), array("q")
    lost = 0
    with open(folder / "rows.jsonl", "wb") as file:
        for row in rows:
            raw = {"question": row.question, "text": row.text, "answers": row.answers}
            windows = inputs.windows(raw)
            end = row.start + len(row.answers[0])
            places = [window.between(row.start, end) for window in windows]
            with_answer = next((number for number, place in enumerate(places) if place is not None), None)
            lost += with_answer is None
            window, place = windows[with_answer or 0], places[with_answer or 0]
            numbers.extend(window.numbers)
            offsets.append(len(numbers))
            second.append(window.second)
            targets.extend(place or (IGNORE, IGNORE))
            lines.append(file.tell())
            file.write(json.dumps(raw, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    if lost:
        log.warning("%d answers do not fit into a row and are not learned; type a larger data.max_len", lost)
    np.save(folder / "tokens.npy", np.array(numbers, dtype=np.int32))
    np.save(folder / "offsets.npy", np.array(offsets))
    np.save(folder / "second.npy", np.array(second))
    np.save(folder / "targets.npy", np.array(targets).reshape(-1, 2))
    np.save(folder / "lines.npy", np.array(lines))
    for part, index in zip(PARTS, splits, strict=True):
        np.save(folder / f"{part}.npy", index)
    (folder / "codec.json").write_text(json.dumps(inputs.stored(), ensure_ascii=False), encoding="utf-8")
