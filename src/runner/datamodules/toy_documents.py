"""Ten short remarks on a piece of work, friendly or not: the smallest data for a text model."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runner.datamodules.parts.prepared import Prepared, SplitSettings
from runner.datamodules.parts.splits import Splits
from runner.datamodules.parts.texts import TextRow, prepare_texts
from runner.datamodules.text_data import TextData

REMARKS = {
    "Nicely done!": "friendly",
    "Good work": "friendly",
    "A great effort": "friendly",
    "What a nice report": "friendly",
    "Superb!": "friendly",
    "Rather weak": "unfriendly",
    "A poor effort!": "unfriendly",
    "Not good": "unfriendly",
    "Poor work": "unfriendly",
    "You could do better": "unfriendly",
}
SOURCE = "made here: ten remarks"


@dataclass(frozen=True)
class Everything(SplitSettings):
    """All rows in every split."""

    def __call__(self, rows: int, classes: np.ndarray | None = None, own: np.ndarray | None = None) -> Splits:
        return Splits(*(np.arange(rows) for _ in range(3)))


@dataclass(kw_only=True, eq=False, repr=False)
class ToyDocuments(TextData):
    """The ten remarks. Training, validation and test are the same ten remarks.

    Args:
        num_classes: declared number of classes, 2.
    """

    num_classes: int = 2
    vocab_size: int = 50
    max_len: int = 4
    batch_size: int = 10

    def prepare(self) -> Prepared:
        return prepare_texts(
            "toy_documents",
            remarks,
            self.encoded(),
            Everything(),
            source=SOURCE,
            digest=hashlib.sha256(repr(REMARKS).encode()).hexdigest(),
            reading={"rows": "all in every split"},
            class_names=["unfriendly", "friendly"],
        )


def remarks() -> Iterator[TextRow]:
    """Yield the remarks."""
    for text, label in REMARKS.items():
        yield TextRow(text, label)
