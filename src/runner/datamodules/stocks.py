"""Daily prices: windows of the last days and the days that follow, divided by time.

Sources: the package bokeh-sampledata (daily prices of five companies, 2000 to 2013), the package arch (two indices,
1999 to 2018), or the user's tables, such as the two files trainset.csv and testset.csv of the course book, chapter 8,
section 5. The book also uses the test days for scaling; here only the training days are used.

Nothing looks ahead: the last `test_days` are the test split, the `val_days` before them the validation split, and a
window belongs to the split that contains all the days it has to predict. The days it is predicted from may be
before that split, never after its targets.

Shape letters: S days of the series, N windows, T days of a window, C features, D days ahead.
"""

import csv
import datetime
import gzip
import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Windows
from runner.datamodules.parts.codecs import SequenceInputs
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import Splits
from runner.datamodules.parts.targets import Numbers
from runner.datamodules.parts.tensors import prepare_tensors
from runner.errors import UserError
from runner.files import cache, sources
from runner.files.rows import read_rows
from runner.files.tables import no_column

SHARES = ("AAPL", "FB", "GOOG", "IBM", "MSFT")  # companies
SHARES_PACKAGE, SHARES_FILE = "bokeh-sampledata", "bokeh_sampledata/_data/stocks.csv.gz"
INDICES = {"SP500": "arch/data/sp500/sp500.csv.gz", "NASDAQ": "arch/data/nasdaq/nasdaq.csv.gz"}
INDICES_ARCHIVE = sources.Archive(
    kind="pip",
    name="arch",
    version="8.0.0",
    filename="arch-8.0.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl",
    sha256="975ec3bdf7926335742ac362251fafe32b448b8f194dead062f22a00beef772d",
)
OTHERWISE = "read your own table: data.path=FILE, one line per day, oldest first"


class Series(NamedTuple):
    """Values (S, C) of consecutive days, one line that says where they come from, and their SHA-256."""

    values: np.ndarray
    source: str
    digest: str


@dataclass(kw_only=True, eq=False, repr=False)
class Stocks(DataModule):
    """Windows of daily prices and the prices of the next days; metrics are in the price's own unit.

    Args:
        symbol: which of the packaged series: AAPL, FB, GOOG, IBM, MSFT, SP500 or NASDAQ.
        path: a table, oldest day first, or several in sequence; None = the packaged series.
        column: what is predicted.
        features: what the net sees of each day; has to include `column`.
        num_steps: days of a window, at least 1.
        num_channels: declared number of features.
        num_targets: days ahead that are predicted, at least 1.
        val_days: days of the validation split, at least 1.
        test_days: days of the test split, the last ones, at least 1.
        scale: minmax = the training days are in 0 .. 1; standard = they have mean 0 and standard deviation 1.
    """

    symbol: Literal["AAPL", "FB", "GOOG", "IBM", "MSFT", "SP500", "NASDAQ"] = "GOOG"
    path: str | list[str] | None = None
    column: str = "Open"
    features: Sequence[str] = ("Open",)
    num_steps: int = 60
    num_channels: int = 1
    num_targets: int = 1
    val_days: int = 125
    test_days: int = 125
    scale: Literal["minmax", "standard"] = "minmax"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.symbol not in (*SHARES, *INDICES):
            raise UserError(f"data.symbol is one of {', '.join((*SHARES, *INDICES))}, received {self.symbol!r}.")
        if self.scale not in ("minmax", "standard"):
            raise UserError(f"data.scale is minmax or standard, received {self.scale!r}.")
        if self.column not in self.features:
            raise UserError(
                f"data.features={list(self.features)} has to include data.column={self.column}, whose past is needed."
            )
        self.dates: list[datetime.date | None] = []
        self.paths = [self.path] if isinstance(self.path, str) else list(self.path or [])

    @property
    def target_channel(self) -> int:
        """The channel of a window that is forecast."""
        return list(self.features).index(self.column)

    @property
    def unit(self) -> str:
        return "dollars" if self.symbol in SHARES and not self.paths else ""

    @property
    def test_dates(self) -> list[datetime.date] | None:
        """The days of the test split; None if some of them are not known."""
        days = [day for day in self.dates[-self.test_days :] if day is not None]
        return days if len(days) == self.test_days else None

    def prepare(self) -> Prepared:
        series = self.read_files() if self.paths else self.read_packaged()
        values = series.values  # (S, C)
        starts = window_splits(len(values), self.num_steps, self.num_targets, self.val_days, self.test_days)
        seen = values[: len(values) - self.val_days - self.test_days]  # the training days
        shift, width = scale_of(seen, self.scale)
        target = self.target_channel
        names = [f"{self.column}+{number}" for number in range(1, self.num_targets + 1)]
        inputs = SequenceInputs("window", shift, width, self.num_steps)
        targets = Numbers(names, [shift[target]] * self.num_targets, [width[target]] * self.num_targets)
        everything = np.arange(len(values) - self.num_steps - self.num_targets + 1)
        windows = values[everything[:, None] + np.arange(self.num_steps)]  # (N, T, C)
        ahead = np.arange(self.num_steps, self.num_steps + self.num_targets)
        following = values[:, target][everything[:, None] + ahead]  # (N, D)
        return prepare_tensors(
            Windows,
            inputs,
            targets,
            windows,
            following,
            starts,
            source=series.source,
            digest=series.digest,
            facts={"num_channels": values.shape[1]},
        )

    def read_packaged(self) -> Series:
        """Read the series of a package: installed with the extra `data`, or fetched once."""
        if self.symbol in INDICES:
            inner = INDICES[self.symbol]
            file = sources.archive(INDICES_ARCHIVE, OTHERWISE)
            packed, source = sources.read_member(file, inner), f"{INDICES_ARCHIVE}, {inner}"
        else:
            file = sources.package_file(SHARES_PACKAGE, SHARES_FILE, "data")
            packed, source = file.read_bytes(), sources.package_source(SHARES_PACKAGE, SHARES_FILE)
        table = csv.DictReader(gzip.decompress(packed).decode("utf-8").splitlines())
        rows = (row for row in table if row.get("Ticker", self.symbol) == self.symbol)
        values = self.numbers((f"row {n}", row) for n, row in enumerate(rows, 2))
        return Series(values, f"{source}, {self.symbol}", cache.file_digest(file))

    def read_files(self) -> Series:
        """Read the user's tables in sequence."""
        rows = itertools.chain.from_iterable(read_rows(path) for path in self.paths)
        values = self.numbers(rows)
        digests = "".join(cache.file_digest(Path(path)) for path in self.paths)
        return Series(values, f"file {', '.join(self.paths)}", hashlib.sha256(digests.encode()).hexdigest())

    def numbers(self, rows: Iterable[tuple[str, dict]]) -> np.ndarray:
        """Return the features of every day (S, C).

        Raises:
            UserError: a column is missing, a cell is not a number, or the days are not in order.
        """
        values = list(self.days(rows))
        needed = self.num_steps + self.num_targets + self.val_days + self.test_days
        if len(values) < needed:
            raise UserError(
                f"There are {len(values)} days, and at least {needed} are needed: data.num_steps={self.num_steps} and "
                f"data.num_targets={self.num_targets} for one window to train on, data.val_days={self.val_days}, "
                f"data.test_days={self.test_days}. Make one of them smaller."
            )
        return np.array(values, dtype=np.float64)

    def days(self, rows: Iterable[tuple[str, dict]]) -> Iterator[list[float]]:
        """Yield the features of each day in turn (C,)."""
        before = None
        for where, row in rows:
            for name in self.features:
                if name not in row:
                    raise no_column(where, name, row)
            day = date_of(row)
            if day and before and day < before:
                raise UserError(
                    f"{where}: {day} comes after {before}. A forecast needs the days in their order, oldest first."
                )
            before = day or before
            self.dates.append(day)
            yield [number(row[name], f'{where}, column "{name}"') for name in self.features]


def window_splits(days: int, steps: int, ahead: int, val_days: int, test_days: int) -> Splits:
    """Divide windows by the days they have to predict; a window is numbered by its first day.

    Windows whose targets are in two splits belong to none.
    """
    last = np.arange(steps, days - ahead + 1)  # the first day to predict of each window
    ends = (0, days - test_days - val_days, days - test_days, days)
    return Splits(*(np.flatnonzero((last >= start) & (last + ahead <= end)) for start, end in itertools.pairwise(ends)))


def scale_of(values: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """What is subtracted from each column (S, C), and what it is divided by; 1 for a constant column."""
    if scale == "minmax":
        shift, width = values.min(axis=0), np.ptp(values, axis=0)
    else:
        shift, width = values.mean(axis=0), values.std(axis=0)
    return shift, np.where(width > 0, width, 1.0)


def number(cell: object, where: str) -> float:
    """Read a number, with or without commas as thousands separators."""
    try:
        value = float(str(cell).replace(",", ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {cell!r} is not a number. Correct the cell, or remove the day.")
    return value


def date_of(row: dict) -> datetime.date | None:
    """Return the day of a row, where it has a column Date written as 2013-01-31; other dates are ignored."""
    try:
        return datetime.date.fromisoformat(str(row.get("Date"))[:10])
    except ValueError:
        return None
