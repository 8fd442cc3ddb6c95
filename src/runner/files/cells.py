"""What the cells of a user's table may hold, with errors that name file, line or row, and column."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from runner.errors import UserError, closest
from runner.files.tables import DELIMITERS, TableFile, kind, listed, no_column

NOTHING = {"nan", "null", "n/a", "#n/a", "<na>"}  # what programs write where there is no value, in lower case
EMPTY = {*NOTHING, "na", "none", "?"}  # the same in a number column: as classes these words may mean something
LARGEST = 3.4028234663852886e38  # number that 32 bits can hold
MOST_CLASSES = 1000  # more distinct labels than this are not classes


@dataclass(frozen=True)
class Settings:
    """How a table is read; the keys of conf/data/csv.yaml.

    Args:
        path: file, folder or http(s) address.
        text: column that is read as text; None = number columns are the features.
        label: column to predict.
        features: number columns; None = all but the label.
        target: "class" or "number": how the label is read.
        encoding: of text formats.
        delimiter: of CSV and TSV; None = by the ending.
        quoted: whether quotation marks enclose cells.
        text_pair: column with a second text, which is read together with the first; None = there is none.
    """

    path: str
    text: str | None
    label: str
    features: tuple[str, ...] | None = None
    target: str = "class"
    encoding: str = "utf-8"
    delimiter: str | None = None
    quoted: bool = True
    text_pair: str | None = None

    @property
    def texts(self) -> list[str]:
        """The columns that are read as texts."""
        return [name for name in (self.text, self.text_pair) if name]


class Part(NamedTuple):
    """One file of a table: the split it is (None = to be split here) and the label of its rows (None = a column)."""

    split: str | None
    file: TableFile
    label: str | None = None


def check_columns(part: Part, settings: Settings) -> list[str]:
    """Check that the columns the user named are there and differ from one another."""
    names = part.file.columns()
    if settings.text_pair and not settings.text:
        raise UserError("data.text_pair is the second of two text columns: name the first one too, data.text=COLUMN.")
    given = {"data.text": settings.text, "data.text_pair": settings.text_pair, "data.label": settings.label}
    for one, other in combinations([key for key, name in given.items() if name], 2):
        if settings.text and given[one] == given[other]:
            why = "the label cannot be read from itself" if other == "data.label" else "two different texts are wanted"
            raise UserError(f'{one} and {other} are both "{given[one]}": {why}. Columns: {listed(names)}.')
    if settings.text and settings.features:
        raise UserError(
            "data.text and data.features are both set: give the text column or the number columns, not both."
        )
    if settings.label in (settings.features or ()):
        raise UserError(f'data.features holds the label "{settings.label}": the answer would be among the inputs.')
    wanted = [(key, name) for key, name in (("text", settings.text), ("text_pair", settings.text_pair)) if name]
    wanted += [("features", name) for name in settings.features or ()]
    if part.label is None:
        wanted.append(("label", settings.label))
    for key, name in wanted:
        if name not in names:
            raise no_column(part.file.shown, name, names, f"data.{key}", _advice(part.file, names))
    return names


def _advice(file: TableFile, names: list[str]) -> str:
    if file.format == "txt":
        return "A plain text file has no labels: use CSV, or a folder with one .txt file for each class."
    other = next((mark for mark in DELIMITERS if mark != file.delimiter and mark in names[0]), None)
    if len(names) > 1 or other is None:
        return ""
    return f"The cells seem to be separated by {DELIMITERS[other]}: type data.delimiter={other!r}."


def number_of(cell: Any, place: str) -> float:
    """Return a cell as a finite number that 32 bits can hold."""
    value = as_number(cell)
    if value is None:
        raise UserError(f"{place}: {cell!r} is not a number")
    if not abs(value) <= LARGEST:
        raise UserError(f"{place}: {cell!r} {_size(value)}")
    return value


def _size(value: float) -> str:
    """Return what is wrong with a number that is not within the limits."""
    if math.isfinite(value):
        return f"is too large: a number is at most {LARGEST:.2g} in size"
    return "is not a finite number"


def read_target(part: Part, number: int, cells: dict, settings: Settings) -> str | float:
    """Return the label as the name of a class, or as a number."""
    cell = cells.get(settings.label) if part.label is None else part.label
    if settings.target == "class" and type(cell) in (str, int, bool):
        name = str(cell).strip()
        if name and name.lower() not in NOTHING:
            return name
    where = part.file.where(number, settings.label)
    if _is_blank(cell) or str(cell).strip().lower() in NOTHING:
        shown = "empty" if _is_blank(cell) else f'missing ("{cell}")'
        raise UserError(f"{where}: the label is {shown}. Fill it in or remove the row.")
    if isinstance(cell, (list, dict, bytes)):
        raise UserError(f"{where}: {kind(cell)} where the label should be a word or a number.")
    if settings.target == "class":
        return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    value = as_number(cell)
    if value is None:
        raise UserError(
            f'{where}: "{_short(cell)}" is not a number, and this task learns numbers. For classes use '
            f"task=classification; otherwise correct the cell."
        )
    if not abs(value) <= LARGEST:
        raise UserError(f"{where}: {_short(cell)} {_size(value)}. Correct the cell or remove the row.")
    return value


def text_of(cell: Any, place: str) -> str:
    """Return a cell as a text that is not empty."""
    if isinstance(cell, (list, dict, bytes)):
        raise UserError(f"{place}: {kind(cell)} where a text is expected")
    if _is_blank(cell):
        raise UserError(f"{place}: the text is empty (length zero). Fill it in or remove the row.")
    return str(cell)


def read_text(file: TableFile, number: int, cells: dict, column: str) -> str:
    """Return the text of a cell, which is not empty."""
    cell = cells.get(column)
    if isinstance(cell, str) and cell and not cell.isspace():  # the usual case, without looking up the place
        return cell
    return text_of(cell, file.where(number, column))


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or not str(cell).strip()


def as_number(cell: Any) -> float | None:
    """Return the cell as a number, or None if it is not one."""
    if isinstance(cell, str) and "_" in cell:  # 1_000 is a number in Python's own programs alone
        return None
    try:
        return float(cell)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf
    except (TypeError, ValueError):
        return None


def _short(cell: Any) -> str:
    text = str(cell)
    return text if len(text) <= 40 else text[:37] + "..."


def read_number(file: TableFile, number: int, cells: dict, column: str, settings: Settings) -> float:
    """Return the finite number in a cell."""
    cell = cells.get(column)
    value = as_number(cell)
    if value is not None and abs(value) <= LARGEST:
        return value
    where = file.where(number, column)
    leave_out = "" if settings.features else " To leave the column out, list the ones to use: data.features=[...]."
    if _is_blank(cell) or str(cell).strip().lower() in EMPTY:
        shown = "empty" if _is_blank(cell) else f'missing ("{cell}")'
        raise UserError(f"{where}: the number is {shown}. Fill it in or remove the row.{leave_out}")
    if value is not None:
        raise UserError(f"{where}: {_short(cell)} {_size(value)}. Correct the cell or remove the row.")
    if re.fullmatch(r"\s*-?\d+,\d+\s*", str(cell)):
        raise UserError(
            f'{where}: "{cell}" has a decimal comma; numbers are read with a point ({str(cell).replace(",", ".")}).'
        )
    raise UserError(f'{where}: "{_short(cell)}" is not a number. Correct the cell or remove the row.{leave_out}')


class NumberColumns:
    """Finds the number columns of a table in one pass: a column with any number may hold only numbers.

    Args:
        settings: how the table is read.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.numbers: dict[str, bool] = {}  # candidate -> whether a number was seen
        self.faults: dict[str, UserError] = {}  # candidate -> its first cell that is not a number

    def add(self, file: TableFile, number: int, cells: dict) -> None:
        if not self.numbers:
            names = self.settings.features or [name for name in cells if name != self.settings.label]
            self.numbers = dict.fromkeys(names, bool(self.settings.features))
        for name in self.numbers:
            value = as_number(cells.get(name))
            if value is not None and abs(value) <= LARGEST:
                self.numbers[name] = True
            elif name not in self.faults:
                try:
                    read_number(file, number, cells, name, self.settings)
                except UserError as fault:
                    self.faults[name] = fault

    def checked(self) -> list[str]:
        """Return the number columns.

        Raises:
            UserError: a number column has a cell without a number, or the table has no number columns.
        """
        found = [name for name, seen in self.numbers.items() if seen]
        for name in found:
            if name in self.faults:
                raise self.faults[name]
        if not found:
            raise UserError(
                f"{self.settings.path} has no number columns besides the label (columns: "
                f"{listed([*self.numbers, self.settings.label])}). Name the text column: data.text=COLUMN."
            )
        return found


class Labels:
    """Counts the classes of a table and checks that they really are classes.

    Args:
        settings: how the table is read.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.splits: dict[str, set[str | None]] = {}  # class -> the splits it occurs in
        self.first: dict[str, str] = {}  # class -> where it occurs first

    def add(self, label: str, part: Part, number: int) -> None:
        self.counts[label] += 1
        if label not in self.splits:
            self.splits[label] = set()
            self.first[label] = part.file.where(number, self.settings.label)
            if len(self.counts) > 50 * MOST_CLASSES:
                raise self._no_classes()
        self.splits[label].add(part.split)

    def checked(self) -> list[str]:
        """Return the classes: in the order of their numbers if all are numbers, else in alphabetical order.

        Raises:
            UserError: there is only one class, one that training never sees, or these are not classes.
        """
        total = self.counts.total()
        label = self.settings.label
        distinct = len(self.counts)
        if distinct == 1:
            only = next(iter(self.counts))
            raise UserError(
                f'{self.settings.path}, column "{label}": all {total} rows have the same label "{only}". '
                f"Two classes or more are needed; is this the right column (data.label)?"
            )
        values = [as_number(name) for name in self.counts]
        broken = all(value is not None for value in values) and any(not value.is_integer() for value in values if value)
        if (
            distinct > MOST_CLASSES
            or (distinct > total / 2 and distinct > 20)
            or (broken and distinct > min(20, total / 2))
        ):
            raise self._no_classes()
        for name, splits in self.splits.items():
            if splits.isdisjoint({"train", None}):
                where = " and ".join(sorted(map(str, splits)))
                raise UserError(
                    f'{self.first[name]}: the class "{name}" is only in the {where} file, '
                    f"never in training, so it cannot be learned. Add training rows of it, or correct the label."
                    + closest(name, [other for other in self.counts if other != name])
                )
        return sorted(self.counts, key=lambda name: (as_number(name) is None, as_number(name) or 0.0, name))

    def _no_classes(self) -> UserError:
        label, total = self.settings.label, self.counts.total()
        numbers = all(as_number(name) is not None for name in self.counts)
        advice = (
            "These are numbers, not classes: type task=regression."
            if numbers
            else "Is this the right column (data.label)? Classes occur many times each."
        )
        return UserError(
            f'{self.settings.path}, column "{label}": {len(self.counts)} different labels in {total} rows '
            f"({listed(map(_short, self.counts), 4)}). {advice}"
        )


def combined(classes: list[str]) -> list[str]:
    """Return the classes that seem to be several labels in one cell, such as "a;b" where others are "a" or "b;c"."""
    for mark in ";|,":
        several = {name: [part.strip() for part in name.split(mark)] for name in classes if mark in name}
        parts = Counter(part for named in several.values() for part in named)
        if any(parts[name] for name in classes) or (mark != "," and any(count > 1 for count in parts.values())):
            return list(several)
    return []
