"""Questions about documents, each with one missing word that the document has: encoded once, kept in the cache.

A prepared folder holds the tokens of documents and questions and, for every token of a document, which candidate it is
(`document.npy`, `question.npy`, `named.npy`, int32, each with its offsets), the place of the right one (`target.npy`),
the raw questions (`rows.jsonl`), the row numbers of each split, and `codec.json`.

Shape letters: B batch, D document tokens, Q question tokens.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import Subset, padded
from runner.datamodules.parts.codecs import Codec, TextInputs
from runner.datamodules.parts.pairs import PairRows
from runner.datamodules.parts.prepared import FoundRows, Prepared, SplitSettings
from runner.datamodules.parts.splits import OWN, PARTS, by_group
from runner.datamodules.parts.targets import Targets
from runner.datamodules.parts.texts import TextSettings
from runner.errors import UserError
from runner.files import cache
from runner.files.cells import text_of
from runner.text.pipeline import Pipeline
from runner.text.vocabulary import Vocabulary

BLANK = "XXXXX"  # what stands in a question where the word is missing; in the vocabulary it is a word like any other
PIECES = ("document", "question", "named")
WHOLE = 1 << 40  # tokens of a row that a batch keeps: all


class Questions(NamedTuple):
    """Documents (B, D) and questions (B, Q), int64, padded with PAD; candidates (B, D) and the right place (B,).

    A token of a document that is a candidate has the place where this word stands first in the document, any other -1;
    the right place is that of the answer, or -1 if the part of the document that is kept does not have it.
    """

    document: Tensor
    question: Tensor
    named: Tensor
    target: Tensor


class RawQuestion(NamedTuple):
    """A document, a question with BLANK in it, the words to choose from, the right one, and where they come from.

    Questions with the same origin are in the same split; `split` is the one the data has put it into (None = to be
    split here).
    """

    document: str
    question: str
    candidates: list[str]
    answer: str
    origin: int
    split: str | None = None


class QuestionInputs(Codec):
    """Documents and questions as rows of token numbers of one vocabulary, and which document tokens are candidates.

    Args:
        pipeline: the function text -> tokens; of a longer document it keeps the end, of a question everything.
        vocabulary: numbers of the tokens.
    """

    kind = "questions"

    def __init__(self, pipeline: Pipeline, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        self.document = TextInputs("document", pipeline, vocabulary)
        self.question = TextInputs("question", Pipeline(pipeline.settings), vocabulary)

    @property
    def max_len(self) -> int | None:
        """Tokens of a document that are kept; None = all."""
        return self.document.max_len

    @property
    def columns(self) -> dict[str, str]:
        return {"document": "string", "question": "string"}

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return documents (B, D), questions (B, Q) and candidates (B, D), see `Questions`."""
        (document,), (question,) = self.document.encode(rows), self.question.encode(rows)
        named = torch.full_like(document, -1)
        for row, places in enumerate(map(self.places, rows)):
            named[row, : len(places)] = torch.tensor(places)
        return document, question, named

    def places(self, row: Mapping[str, Any]) -> list[int]:
        """For each token of the document, where the candidate that it is stands first; -1 = it is not a candidate.

        A row without candidates leaves the choice between all words of its document.
        """
        (tokens,) = self.document.tokens([dict(row)])
        first: dict[str, int] = {}
        for place, token in enumerate(tokens):
            first.setdefault(token, place)
        if (given := row.get("candidates")) is not None:
            allowed = {self.one_token(word) for word in given}
            first = {token: place for token, place in first.items() if token in allowed}
        return [first.get(token, -1) for token in tokens]

    def right(self, rows: list[dict]) -> Tensor:
        """Return the place of each row's "answer" in its document (B,), int64; -1 = it is not there."""
        found = []
        for row in rows:
            (tokens,) = self.document.tokens([row])
            word = self.one_token(row["answer"])
            found.append(tokens.index(word) if word in tokens else -1)
        return torch.tensor(found, dtype=torch.int64)

    def one_token(self, word: str) -> str:
        """Return a candidate as the document has it.

        Raises:
            UserError: it is not one token.
        """
        tokens = self.question.pipeline(word)
        if len(tokens) != 1:
            raise UserError(
                f"the candidate {word!r} is {len(tokens)} tokens with data.tokenizer="
                f"{self.question.pipeline.settings.tokenizer}, and has to be one: type data.tokenizer=space if the "
                "words of the file already stand between spaces"
            )
        return tokens[0]

    def decode(self, numbers: Iterable[int]) -> str:
        return self.document.decode(numbers)

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        made = zip(self.document.example(rows, draw), self.question.example(rows, draw), strict=True)
        return [document | {"question": f"{question['question']} {BLANK}"} for document, question in made]

    def state(self) -> dict[str, Any]:
        return {**self.document.pipeline.state(), "vocabulary": self.vocabulary.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(Pipeline.from_state(state), Vocabulary(**state["vocabulary"]))


class AnswerWords(Targets):
    """Targets that are words of a document; small and capital letters are the same."""

    kind = "answers"

    def columns(self, label: str | None = None) -> list[str]:
        return [label or "answer"]

    def read(self, row: dict[str, Any], place: str) -> str:
        ((column, cell),) = row.items()
        return text_of(cell, f'{place}, column "{column}"').strip()

    def error(self, answer: dict[str, Any], truth: str) -> tuple[float, dict[str, Any]]:
        return float(answer["prediction"].lower() != truth.lower()), {"answer": truth}


class QuestionSplit:
    """Questions in memory or memory-mapped; a batch is padded to its own longest document and question.

    Args:
        pieces: tokens and offsets of documents and questions, and the candidates with the same, one more than in a
            batch, so that 0 is none of them (see `runner.datamodules.parts.batches.padded`).
        target: place of the answer in each document (N,), int64.
    """

    def __init__(self, pieces: list[tuple[np.ndarray, np.ndarray]], target: Tensor):
        self.pieces, self.target = pieces, target

    def __len__(self) -> int:
        return len(self.target)

    def lengths(self) -> Tensor:
        """Tokens of each document, int64 (N,)."""
        return torch.from_numpy(np.diff(self.pieces[0][1]).astype(np.int64))

    def gather(self, index: Tensor, draw: torch.Generator) -> Questions:
        document, question, named = (padded(*piece, index, WHOLE) for piece in self.pieces)
        return Questions(document, question, named - 1, self.target[index])


def prepare_questions(found: FoundRows[RawQuestion], settings: TextSettings, splitting: SplitSettings) -> Prepared:
    """Return the splits of a dataset of questions, prepared now or earlier with the same settings.

    Args:
        found: the questions.
        settings: how documents and questions are encoded; max_len is for documents alone.
        splitting: how the documents that the questions come from are divided.
    """
    key = {
        "digest": found.digest,
        "reading": found.reading,
        "settings": asdict(settings),
        "splitting": asdict(splitting),
    }
    folder = cache.prepared(found.name, key, lambda part: _write(part, list(found.rows()), settings, splitting))
    inputs = Codec.restored(json.loads((folder / "codec.json").read_text(encoding="utf-8")))
    index = {part: np.load(folder / f"{part}.npy") for part in PARTS}
    pieces = [
        (np.load(folder / f"{piece}.npy", mmap_mode="r"), np.load(folder / f"{piece}_offsets.npy")) for piece in PIECES
    ]
    store = QuestionSplit(pieces, torch.from_numpy(np.load(folder / "target.npy")))
    made: dict[str, Any] = {part: Subset(store, torch.from_numpy(index[part])) for part in PARTS}
    raw = PairRows(folder, index, "answer")
    return Prepared(inputs, AnswerWords([]), **made, rows=raw, source=found.source, digest=found.digest)


def _write(folder: Path, rows: list[RawQuestion], settings: TextSettings, splitting: SplitSettings) -> None:
    """Fill a prepared folder."""
    if not rows:
        raise UserError("No question could be made: the documents are too short, or have too few words to choose from.")
    own = np.array([OWN[row.split] for row in rows], dtype=np.int8)
    splits = by_group(np.array([row.origin for row in rows]), splitting, own if own.any() else None)
    pipeline = settings.pipeline()
    training = (rows[number] for number in splits.train)
    texts = chain.from_iterable((row.document, row.question) for row in training)
    counts = Counter(chain.from_iterable(map(Pipeline(pipeline.settings), texts)))
    codec = QuestionInputs(pipeline, Vocabulary.build(counts, settings.vocab_size, settings.min_count))
    numbers, offsets = {piece: array("i") for piece in PIECES}, {piece: array("q", [0]) for piece in PIECES}
    raw = [{name: value for name, value in row._asdict().items() if name not in ("origin", "split")} for row in rows]
    for row in raw:
        found = (
            codec.vocabulary.encode(codec.document.tokens([row])[0]),
            codec.vocabulary.encode(codec.question.tokens([row])[0]),
            [place + 1 for place in codec.places(row)],
        )
        for piece, values in zip(PIECES, found, strict=True):
            numbers[piece].extend(values)
            offsets[piece].append(len(numbers[piece]))
    for piece in PIECES:
        np.save(folder / f"{piece}.npy", np.array(numbers[piece], dtype=np.int32))
        np.save(folder / f"{piece}_offsets.npy", np.array(offsets[piece]))
    np.save(folder / "target.npy", codec.right(raw).numpy())
    for part, index in zip(PARTS, splits, strict=True):
        np.save(folder / f"{part}.npy", index)
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in raw)
    (folder / "codec.json").write_text(json.dumps(codec.stored(), ensure_ascii=False), encoding="utf-8")
