"""Rows of letters and the same rows read from the right: the smallest translation there is."""

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import Codec, Columns, TextInputs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import PARTS
from runner.datamodules.parts.targets import Targets
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import END, SPECIALS, START, Vocabulary

MARKS = (*SPECIALS, START, END)


class Pairs(NamedTuple):
    """Source (B, S); the text so far (B, T), from the start mark on; the next tokens (B, T), up to the end mark."""

    source: Tensor
    written: Tensor
    target: Tensor


class Sentences(Targets):
    """Targets that are whole sentences: right or wrong."""

    kind = "sentences"

    def columns(self, label: str | None = None) -> list[str]:
        return [label or "target"]

    def read(self, row: dict[str, Any], place: str) -> str:
        return " ".join(str(next(iter(row.values()))).split())

    def error(self, answer: dict[str, Any], truth: str) -> tuple[float, dict[str, Any]]:
        return float(answer["target"] != truth), {"truth": truth}


class PairSplit:
    """Pairs of sentences; a batch is as wide as its longest row.

    Args:
        rows: raw rows, source and target.
        codec: encodes them.
    """

    def __init__(self, rows: list[dict], codec: Columns):
        self.rows, self.codec = rows, codec

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, index: Tensor, draw: torch.Generator) -> Pairs:
        return as_batch(*self.codec.encode([self.rows[number] for number in index.tolist()]))


def as_batch(source: Tensor, target: Tensor) -> Pairs:
    """Move the target (B, T + 1) by one token: what is read, and what comes next."""
    return Pairs(source, target[:, :-1], target[:, 1:])


class PairRows:
    """The raw rows of each split."""

    def __init__(self, rows: dict[str, list[dict]]):
        self.rows = rows

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        return self.rows[part][:limit]

    def targets(self, part: str) -> np.ndarray:
        return np.array([row["target"] for row in self.rows[part]])


@dataclass(kw_only=True, eq=False, repr=False)
class Reversed(DataModule):
    """Made here: random rows of letters.

    Args:
        vocab_size: declared number of tokens, the marks included.
        max_len: letters of a row at most.
        rows: of all splits together.
    """

    vocab_size: int = 10
    max_len: int = 4
    rows: int = 400

    def prepare(self) -> Prepared:
        draw = np.random.default_rng(self.split_seed)
        codec = self.codec(self.vocab_size, self.max_len)
        letters = codec.parts["source"].vocabulary.tokens[len(SPECIALS) :]
        drawn = [draw.choice(letters, size=draw.integers(1, self.max_len + 1)).tolist() for _ in range(self.rows)]
        rows = [{"source": " ".join(row), "target": " ".join(reversed(row))} for row in drawn]
        raw = {
            part: [rows[number] for number in numbers] for part, numbers in self.splitting(len(rows))._asdict().items()
        }
        return Prepared(
            codec,
            Sentences([]),
            **{part: PairSplit(raw[part], codec) for part in PARTS},
            rows=PairRows(raw),
            source="made here: rows of letters and their reverse",
            digest=hashlib.sha256(repr(rows).encode()).hexdigest(),
            facts={"vocab_size": len(codec.parts["target"].vocabulary)},
        )

    def codec(self, vocab_size: int, max_len: int) -> Columns:
        """Source and target side by side; only the target begins and ends with a mark."""
        letters = [chr(ord("a") + number) for number in range(vocab_size - len(MARKS))]
        source = TextInputs("source", Pipeline(TokenSettings(), max_len), Vocabulary([*SPECIALS, *letters]))
        both = Vocabulary([*MARKS, *letters], MARKS)
        return Columns({"source": source, "target": TextInputs("target", Pipeline(TokenSettings(), max_len + 2), both)})

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets]:
        return self.codec(facts["vocab_size"], facts["max_len"]), Sentences([])

    @property
    def columns(self) -> dict[str, str]:
        """Asked for a translation, the model is given the source alone."""
        return {"source": "string"}
