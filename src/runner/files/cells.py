"""What the cells of a user's table may hold, with errors that name file, line or row, and column."""

import math
import re
from collections import Counter
from collections.abc import Mapping
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
        features: number columns; None = all but the others, and none beside a text.
        target: "class", "number" or "labels" (several in one cell): how the label is read.
        encoding: of text formats.
        delimiter: of CSV and TSV; None = by the ending.
        quoted: whether quotation marks enclose cells.
        text_pair: column with a second text, which is read together with the first; None = there is none.
        categories: columns of words that are read as categories.
        more_labels: further columns to predict, of numbers.
        label_separator: between the labels of a cell; None = a cell holds one label, or a list.
        class_order: the classes from the lowest to the highest; None = as numbers or in alphabetical order.
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
    categories: tuple[str, ...] = ()
    more_labels: tuple[str, ...] = ()
    label_separator: str | None = None
    class_order: tuple[str, ...] | None = None

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> "Settings":
        """Return the settings that the keys of conf/data/csv.yaml describe; a list of labels becomes label and more."""
        kept = {name: value for name, value in given.items() if value is not None}
        labels = [kept["label"]] if isinstance(kept["label"], str | int) else list(kept["label"])
        if not labels:
            raise UserError("data.label=[] names no column: type data.label=COLUMN, the column to predict.")
        kept |= {"path": str(kept["path"]), "label": str(labels[0]), "more_labels": tuple(map(str, labels[1:]))}
        for name in ("features", "categories", "class_order"):
            if name in kept:
                kept[name] = tuple(map(str, kept[name]))
        return cls(**{"text": None, **kept})

    @property
    def texts(self) -> list[str]:
        """The columns that are read as texts."""
        return [name for name in (self.text, self.text_pair) if name]

    @property
    def labels(self) -> list[str]:
        """The columns to predict."""
        return [self.label, *self.more_labels]

    @property
    def reads_numbers(self) -> bool:
        """Whether number columns are read: those that are named, or all there are if there is no text."""
        return not self.text if self.features is None else bool(self.features)

    @property
    def mixed(self) -> bool:
        """Whether inputs of several kinds are read side by side, or categories."""
        return bool(self.categories) or bool(self.text and self.features)


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
    given = [("text", settings.text), ("text_pair", settings.text_pair)]
    given += [("features", name) for name in settings.features or ()]
    given += [("categories", name) for name in settings.categories]
    wanted = [(key, name) for key, name in given if name]
    wanted += [("label", name) for name in settings.labels if part.label is None]
    for (one, column), (other, same) in combinations(wanted, 2):
        if column == same:
            raise _read_twice(one, other, column, names)
    if settings.text_pair and settings.mixed:
        raise UserError(
            "data.text_pair goes with data.text alone: leave data.features and data.categories out, or text_pair."
        )
    if settings.label_separator is not None and settings.target != "labels":
        raise UserError(
            "data.label_separator is set, so a row has several labels, and not one class or number: type "
            "task=multi_label, or leave the setting out."
        )
    if settings.more_labels and settings.target != "number":
        raise UserError(
            f"data.label names {len(settings.labels)} columns, which are predicted as numbers: type task=regression. "
            "Several labels in one column: data.label_separator, with task=multi_label."
        )
    for key, name in wanted:
        if name not in names:
            raise no_column(part.file.shown, name, names, f"data.{key}", _advice(part.file, names))
    return names


def _read_twice(one: str, other: str, column: str, names: list[str]) -> UserError:
    """Return the error for a column that two settings name, or one of them twice."""
    if one == other:
        return UserError(f'data.{one} names "{column}" twice. Columns: {listed(names)}.')
    if (one, other) == ("features", "label"):
        return UserError(f'data.features holds the label "{column}": the answer would be among the inputs.')
    why = "the label cannot be read from itself" if other == "label" else "a column is read in one way"
    why = "two different texts are wanted" if other == "text_pair" else why
    return UserError(f'data.{one} and data.{other} are both "{column}": {why}. Columns: {listed(names)}.')


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


def read_target(
    part: Part, number: int, cells: dict, settings: Settings
) -> str | float | tuple[str, ...] | tuple[float, ...]:
    """Return the label as the name of a class or as a number; several of them as a tuple."""
    if settings.target == "labels":
        return read_labels(part, number, cells, settings)
    if settings.more_labels:
        return tuple(float(read_label(part, number, cells, settings, name)) for name in settings.labels)
    return read_label(part, number, cells, settings, settings.label)


def read_labels(part: Part, number: int, cells: dict, settings: Settings) -> tuple[str, ...]:
    """Return all labels of a cell, none if it is empty."""
    cell = cells.get(settings.label) if part.label is None else part.label
    try:
        return labels_in(cell, settings.label_separator)
    except ValueError as error:
        raise UserError(f"{part.file.where(number, settings.label)}: {error}") from None


def labels_in(cell: Any, separator: str | None) -> tuple[str, ...]:
    """Return the labels that a cell holds, each once: a list, or words with a separator between them.

    Raises:
        ValueError: it holds something else.
    """
    if isinstance(cell, (list, tuple)):
        found = [str(name).strip() for name in cell]
    elif _is_blank(cell):
        found = []
    elif isinstance(cell, (dict, bytes)):
        raise ValueError(f"{kind(cell)} where labels are expected.")
    elif separator is None:
        raise ValueError(
            f'"{_short(cell)}" is not a list of labels. Say what stands between them, such as data.label_separator=";"'
        )
    else:
        found = [name.strip() for name in str(cell).split(separator)]
    return tuple(dict.fromkeys(name for name in found if name))


def read_category(file: TableFile, number: int, cells: dict, column: str) -> str:
    """Return the category that a cell names, "" where it is missing."""
    cell = cells.get(column)
    if isinstance(cell, (list, dict, bytes)):
        raise UserError(f"{file.where(number, column)}: {kind(cell)} where a category should be a word or a number")
    return category_of(cell)


def category_of(cell: Any) -> str:
    """Return the name of a category, "" for a cell in which there is none."""
    if _is_blank(cell):
        return ""
    name = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    return "" if name.lower() in NOTHING else name


def read_label(part: Part, number: int, cells: dict, settings: Settings, column: str) -> str | float:
    """Return the label in a column as the name of a class, or as a number."""
    cell = cells.get(column) if part.label is None else part.label
    if settings.target == "class" and type(cell) in (str, int, bool):
        name = str(cell).strip()
        if name and name.lower() not in NOTHING:
            return name
    where = part.file.where(number, column)
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
            others = {*self.settings.labels, *self.settings.categories}
            names = self.settings.features or [name for name in cells if name not in others]
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
        if not found and not self.settings.categories:
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
        found = sorted(self.counts, key=lambda name: (as_number(name) is None, as_number(name) or 0.0, name))
        order = self.settings.class_order
        if order is None:
            return found
        if sorted(order) != sorted(found):
            raise UserError(
                f'{self.settings.path}, column "{label}": data.class_order={listed(order)} has to name all classes: '
                f"{listed(found)}"
            )
        return list(order)

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
