"""Credit-card fraud: payments of which 1 in 579 is a fraud, from the user's file creditcard.csv.

Source: Andrea Dal Pozzolo, Olivier Caelen, Reid A. Johnson and Gianluca Bontempi, "Calibrating probability with
undersampling for unbalanced classification", IEEE SSCI 2015. The file is not in any package index. Preprocessing of the
course book, chapter 4, section 6: the column Time is left out, the amount is replaced by its logarithm, everything is
standardised with the training split and clipped at 5 deviations.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_numbers
from runner.errors import UserError
from runner.files import cache
from runner.files.tables import missing

COLUMNS = [*(f"V{number}" for number in range(1, 29)), "Amount"]
LABEL = "Class"
CENT = 0.001  # added to an amount before its logarithm: some amounts are 0


@dataclass(kw_only=True, eq=False, repr=False)
class Fraud(DataModule):
    """Payments: 28 principal components and the amount; the splits have the same share of frauds.

    Args:
        path: the file creditcard.csv.
        in_features: declared number of columns, 29.
        num_classes: declared number of classes, 2.
        clip: standardised columns are clipped at plus and minus this; None = no clipping.
        folds: number of equal parts; 5 gives 60/20/20 (the book: 64/16/20).
    """

    path: str
    in_features: int = 29
    num_classes: int = 2
    clip: float | None = 5.0
    batch_size: int = 2048
    folds: int = 5

    def prepare(self) -> Prepared:
        if not Path(self.path).is_file():
            raise missing(Path(self.path), self.path)
        values, target = read_payments(self.path)
        return prepare_numbers(
            COLUMNS,
            values,
            target,
            self.splitting(len(values), target),
            source=f"file {self.path}",
            digest=cache.file_digest(self.path),
            class_names=["genuine", "fraud"],
            logs={"Amount": CENT},
            clip=self.clip,
        )


def read_payments(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns (N, 29) and class numbers (N,) of the file.

    Raises:
        UserError: a column is missing or holds something that is not a number, or a class is not 0 or 1.
    """
    try:
        table = pyarrow.csv.read_csv(path)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path} cannot be read as a table: {error}") from None
    absent = [name for name in (*COLUMNS, LABEL) if name not in table.column_names]
    if absent:
        raise UserError(
            f"{path} has no column {', '.join(absent)}; it has: {', '.join(table.column_names)}. Another table of "
            f"numbers is read with data=csv data.path={path} data.label=COLUMN."
        )
    for name in (*COLUMNS, LABEL):
        kind = table[name].type
        if table[name].null_count or not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
            raise UserError(f'{path}, column "{name}": a cell is empty or not a number. Correct it or remove the row.')
    values = np.stack([table[name].to_numpy() for name in COLUMNS], axis=1).astype(np.float64)
    target = table[LABEL].to_numpy().astype(np.int64)
    if not np.isin(target, (0, 1)).all():
        raise UserError(f'{path}, column "{LABEL}": classes are 0 and 1, found {sorted(set(target.tolist()))[:5]}.')
    return values, target
