"""Reviews of women's clothes as a table: the text, the author's age and the department; the stars are to be predicted.

Source: as `clothing_reviews`, of which these are the same rows in the same order and the same splits.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet

from runner.datamodules.clothing_reviews import AGE, ARCHIVE, CLASS_NAMES, MEMBER, OTHERWISE, STARS, TEXT
from runner.datamodules.parts.mixed import MixedTable, check_sizes, prepare_mixed
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.texts import TextRow, prepare_texts
from runner.datamodules.text_data import TextData
from runner.errors import UserError
from runner.files import cache, sources
from runner.files.cells import category_of
from runner.files.rows import Row
from runner.files.tables import listed

log = logging.getLogger(__name__)

COLUMNS = {  # as this data calls them -> as the source does
    "review": TEXT, "age": AGE, "approvals": "Positive Feedback Count", "division": "Division Name",
    "department": "Department Name", "kind": "Class Name",
}  # fmt: skip
ALLOWED = {"text": ("review",), "features": ("age", "approvals"), "categories": ("division", "department", "kind")}


@dataclass(kw_only=True, eq=False, repr=False)
class Clothes(TextData):
    """22 641 reviews with columns of several kinds, and their stars.

    Args:
        path: a copy of the source on this machine; None = the fetched one.
        text: the text column, review; None = it is left out.
        features: number columns: age, approvals (readers who found the review helpful); None = none.
        categories: columns of categories: division, department, kind; None = none.
        target: whether the stars are classes or a number.
        num_classes: declared number of classes.
        num_targets: declared number of real-valued targets, 1.
        in_features: declared number of number columns.
        category_sizes: declared number of categories of each column, and one more for what is missing.
    """

    path: str | None = None
    text: str | None = "review"
    features: Sequence[str] | None = ("age",)
    categories: Sequence[str] | None = ("department",)
    target: Literal["class", "number"] = "class"
    num_classes: int = 5
    num_targets: int = 1
    in_features: int | None = 1
    category_sizes: Sequence[int] | None = (7,)
    max_len: int = 120

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bucket = self.bucket and self.text is not None
        given = {"text": [self.text] if self.text else [], "features": self.features, "categories": self.categories}
        for key, names in given.items():
            if unknown := [name for name in names or () if name not in ALLOWED[key]]:
                raise UserError(f"data.{key}: there is no {', '.join(unknown)}. Allowed: {', '.join(ALLOWED[key])}.")
        if not any(given.values()):
            raise UserError("No column is read: name some in data.text, data.features or data.categories.")

    def prepare(self) -> Prepared:
        file = sources.archive(ARCHIVE, OTHERWISE) if self.path is None else Path(self.path)
        digest = ARCHIVE.sha256 if self.path is None else cache.file_digest(file)
        source = f"{self.path or ARCHIVE}, {MEMBER}"
        class_names = CLASS_NAMES["stars"] if self.target == "class" else None
        numbers, categories = list(self.features or ()), list(self.categories or ())
        left = [name for name in COLUMNS if name not in (self.text, *numbers, *categories)]
        log.info("Read: %s; as label stars", listed([*filter(None, [self.text]), *numbers, *categories]))
        log.info("Left out: %s", listed(left) or "no column")
        texts = None
        if self.text is not None:
            texts = prepare_texts(
                "clothes",
                lambda: (TextRow(row.text, row.target) for row in bought(file, numbers, categories)),
                self.encoded(self.text),
                self.splitting,
                source=source,
                digest=digest,
                reading={"about": "stars", "target": self.target},
                class_names=class_names,
                target_names=["stars"],
            )
        prepared = prepare_mixed(
            MixedTable.read(bought(file, numbers, categories), class_names),
            numbers,
            categories,
            texts,
            self.splitting,
            source=source,
            digest=digest,
            class_names=class_names,
            target_names=["stars"],
        )
        check_sizes(prepared.inputs, self.category_sizes)
        return prepared


def bought(file: Path, numbers: Sequence[str], categories: Sequence[str]) -> Iterator[Row]:
    """Yield the reviews with their stars and these columns; rows without a text are left out."""
    wanted = [TEXT, STARS, *(COLUMNS[name] for name in (*numbers, *categories))]
    table = pyarrow.parquet.read_table(io.BytesIO(sources.read_member(file, MEMBER)), columns=wanted)
    for text, stars, *cells in zip(*(table[name].to_pylist() for name in wanted), strict=True):
        if text and text.strip():
            named = [category_of(cell) for cell in cells[len(numbers) :]]
            yield Row(None, str(stars), text, [float(cell) for cell in cells[: len(numbers)]], categories=named)
