"""A user's own table, read row by row, with errors that name file, line or row, and column.

One file of a format of table_files.py, a folder with train, val and test files or with one text file for each
class, or a http(s) address.
This module runs before the training libraries are imported: what a table holds (`facts`) is part of the
configuration.
"""

import hashlib
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf, open_dict

from runner import cache, sources
from runner.errors import UserError, closest
from runner.table_files import DELIMITERS, ENDINGS, TableFile, kind, listed

log = logging.getLogger(__name__)

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
EMPTY = {"", "nan", "na", "n/a", "null", "none", "?"}  # of a number column, in lower case
MOST_CLASSES = 1000  # more distinct labels than this are no classes
VOCAB_SIZE = 10_000  # words, where the user does not say


class MissingFact(UserError):
    """The table is sound but has no such fact, for example no `vocab_size` without a text column."""


# Tables: the files behind a path, and what is read from them.


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
    """

    path: str
    text: str | None
    label: str
    features: tuple[str, ...] | None = None
    target: str = "class"
    encoding: str = "utf-8"
    delimiter: str | None = None
    quoted: bool = True


class Part(NamedTuple):
    """One file of a table: the split it is (None = to be split here) and the label of its rows (None = a column)."""

    split: str | None
    file: TableFile
    label: str | None = None


class Row(NamedTuple):
    """One checked row: its split, text or numbers, and target (a class name or a number)."""

    split: str | None
    text: str | None
    numbers: list[float] | None
    target: str | float


@dataclass
class Facts:
    """What one pass over a table finds.

    Args:
        rows: number of rows.
        features: names of the number columns.
        classes: distinct labels, in order.
        columns: names of all columns.
    """

    rows: int
    features: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


def parts(settings: Settings) -> list[Part]:
    """Return the files behind `path`.

    Raises:
        UserError: nothing is there, or a folder has no training file.
    """
    how = {"encoding": settings.encoding, "delimiter": settings.delimiter, "quoted": settings.quoted}
    if settings.path.startswith(("http://", "https://")):
        return [Part(None, TableFile(sources.url(settings.path), settings.path, **how))]
    path = Path(settings.path).expanduser()
    if not path.is_dir():
        return [Part(None, TableFile(path, settings.path, **how))]
    files = sorted(file for file in path.iterdir() if _ending(file) in ENDINGS and not file.name.startswith("."))
    placed: dict[str, Path] = {}
    for file in files:
        split = SPLIT_NAMES.get(_stem(file))
        if split in placed:
            raise UserError(f"{settings.path} has two {split} files, {placed[split].name} and {file.name}. Keep one.")
        if split:
            placed[split] = file
    if "train" in placed:
        return [Part(split, TableFile(placed[split], **how)) for split in ("train", "val", "test") if split in placed]
    if len(files) > 1 and not placed and all(ENDINGS[_ending(file)] == "txt" for file in files):
        return [Part(None, TableFile(file, **how), label=_stem(file)) for file in files]
    there = listed(file.name for file in files) or "no table at all"
    raise UserError(
        f"{settings.path} has no train file; it holds {there}. A folder has a train file, and may have val and test "
        f"files (endings: {', '.join(ENDINGS)}), or it has one .txt file for each class; or give one file."
    )


def _ending(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix.lower()


def _stem(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).stem


def digest(settings: Settings) -> str:
    """Return the SHA-256 of the bytes of a table: of its file, or of the digests of its files."""
    digests = [cache.file_digest(part.file.path) for part in parts(settings)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def rows(settings: Settings, features: list[str] | None = None) -> Iterator[Row]:
    """Yield the checked rows of all files, training first.

    Args:
        settings: how the table is read.
        features: number columns, as `facts` finds them; not used with a text column.

    Raises:
        UserError: a cell is not what its column should hold; the message names file, line or row, and column.
    """
    for part in parts(settings):
        _check_columns(part, settings)
        for number, cells in part.file.rows():
            target = _target(part, number, cells, settings)
            text = numbers = None
            if settings.text:
                text = _text(part.file, number, cells, settings.text)
            else:
                numbers = [_number(part.file, number, cells, name, settings) for name in features]
            yield Row(part.split, text, numbers, target)


def read_rows(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (place in words, column -> cell) of every row of one file, unchecked: rows to answer, not to learn from.

    Raises:
        UserError: the file cannot be read.
    """
    file = TableFile(path, encoding=encoding)
    for number, cells in file.rows():
        yield file.where(number), cells


def facts(settings: Settings) -> Facts:
    """Read the whole table once, check every row, and return what is in it; remembered until a file changes.

    Raises:
        UserError: whatever is wrong with the table.
    """
    files = [(str(part.file.path.resolve()), *_stamp(part.file.path)) for part in parts(settings)]

    def write(folder: Path) -> None:
        (folder / "facts.json").write_text(json.dumps(asdict(_read_facts(settings))), encoding="utf-8")

    folder = cache.prepared("facts", {"files": files, **asdict(settings)}, write)
    return Facts(**json.loads((folder / "facts.json").read_text(encoding="utf-8")))


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _read_facts(settings: Settings) -> Facts:
    if settings.target not in ("class", "number"):
        raise UserError(f'data.target="{settings.target}" is not known. Allowed: class, number.')
    found = Facts(rows=0)
    labels = Labels(settings)
    columns = NumberColumns(settings)
    for part in parts(settings):
        names = _check_columns(part, settings)
        found.columns = found.columns or names
        for number, cells in part.file.rows():
            found.rows += 1
            target = _target(part, number, cells, settings)
            if settings.target == "class":
                labels.add(target, part, number)
            if settings.text:
                _text(part.file, number, cells, settings.text)
            else:
                columns.add(part.file, number, cells)
    if settings.target == "class":
        found.classes = labels.checked()
    if not settings.text:
        found.features = columns.checked()
    return found


def _check_columns(part: Part, settings: Settings) -> list[str]:
    """Check that the columns the user named are there and differ from one another."""
    names = part.file.columns()
    if settings.text and settings.text == settings.label:
        raise UserError(
            f'data.text and data.label are both "{settings.label}": the label cannot be read from itself. '
            f"Columns: {listed(names)}."
        )
    if settings.text and settings.features:
        raise UserError(
            "data.text and data.features are both set: give the text column or the number columns, not both."
        )
    if settings.label in (settings.features or ()):
        raise UserError(f'data.features holds the label "{settings.label}": the answer would be among the questions.')
    wanted = [("text", settings.text)] if settings.text else [("features", name) for name in settings.features or ()]
    if part.label is None:
        wanted.append(("label", settings.label))
    for key, name in wanted:
        if name not in names:
            raise UserError(_no_column(part.file, key, name, names))
    return names


def _no_column(file: TableFile, key: str, name: str, names: list[str]) -> str:
    message = f'{file.shown} has no column "{name}" (data.{key}). Columns: {listed(names)}.{closest(name, names)}'
    if file.format == "txt":
        return f"{message} A plain text file has no labels: use CSV, or a folder with one .txt file for each class."
    if len(names) == 1:
        other = next((mark for mark in DELIMITERS if mark != file.delimiter and mark in names[0]), None)
        if other:
            return f"{message} The cells seem to be separated by {DELIMITERS[other]}: type data.delimiter={other!r}."
    return message


# Cells: from what stands in the file to what is learnt from.


def _target(part: Part, number: int, cells: dict, settings: Settings) -> str | float:
    """Return the label as the name of a class, or as a number."""
    cell = cells.get(settings.label) if part.label is None else part.label
    where = part.file.where(number, settings.label)
    if cell is None or (isinstance(cell, float) and math.isnan(cell)) or str(cell).strip().lower() in ("", "nan"):
        raise UserError(f"{where}: the label is empty. Fill it in or remove the row.")
    if isinstance(cell, (list, dict)):
        raise UserError(f"{where}: {kind(cell)} where the label should be a word or a number.")
    if settings.target == "class":
        return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    value = _parsed(cell)
    if value is None:
        raise UserError(
            f'{where}: "{_short(cell)}" is not a number, and this task learns numbers. For classes use '
            f"task=classification; otherwise correct the cell."
        )
    if not math.isfinite(value):
        raise UserError(f"{where}: {cell} is not a finite number. Correct the cell or remove the row.")
    return value


def _text(file: TableFile, number: int, cells: dict, column: str) -> str:
    cell = cells.get(column)
    if isinstance(cell, (list, dict)):
        raise UserError(f"{file.where(number, column)}: {kind(cell)} where a text is expected.")
    text = "" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell)
    if not text.strip():
        raise UserError(f"{file.where(number, column)}: the text is empty (length zero). Fill it in or remove the row.")
    return text


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or str(cell).strip().lower() in EMPTY


def _parsed(cell: Any) -> float | None:
    """Return the cell as a number, or None if it is none."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def _short(cell: Any) -> str:
    text = str(cell)
    return text if len(text) <= 40 else text[:37] + "..."


def _number(file: TableFile, number: int, cells: dict, column: str, settings: Settings) -> float:
    cell = cells.get(column)
    value = _parsed(cell)
    if value is not None and math.isfinite(value):
        return value
    where = file.where(number, column)
    if _is_empty(cell):
        shown = "empty" if cell is None or not str(cell).strip() else f'missing ("{cell}")'
        raise UserError(f"{where}: the number is {shown}. Fill it in or remove the row.{_leave_out(settings)}")
    if value is not None:
        raise UserError(f"{where}: {cell} is not a finite number. Correct the cell or remove the row.")
    if re.fullmatch(r"\s*-?\d+,\d+\s*", str(cell)):
        raise UserError(
            f'{where}: "{cell}" has a decimal comma; numbers are read with a point ({cell.replace(",", ".")}).'
        )
    raise UserError(
        f'{where}: "{_short(cell)}" is not a number. Correct the cell or remove the row.{_leave_out(settings)}'
    )


def _leave_out(settings: Settings) -> str:
    if settings.features:
        return ""
    return " To leave the column out, list the ones to use: data.features=[...]."


class NumberColumns:
    """Finds the number columns of a table in one pass: a column with any number has to hold nothing else.

    Args:
        settings: how the table is read.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.numbers: dict[str, bool] = {}  # candidate -> whether a number was seen
        self.faults: dict[str, UserError] = {}  # candidate -> its first cell that is no number

    def add(self, file: TableFile, number: int, cells: dict) -> None:
        """Look at one row."""
        if not self.numbers:
            names = self.settings.features or [name for name in cells if name != self.settings.label]
            self.numbers = dict.fromkeys(names, bool(self.settings.features))
        for name in self.numbers:
            value = _parsed(cells.get(name))
            if value is not None and math.isfinite(value):
                self.numbers[name] = True
            elif name not in self.faults:
                try:
                    _number(file, number, cells, name, self.settings)
                except UserError as fault:
                    self.faults[name] = fault

    def checked(self) -> list[str]:
        """Return the number columns.

        Raises:
            UserError: a number column has a cell without a number, or there is no number column.
        """
        found = [name for name, seen in self.numbers.items() if seen]
        for name in found:
            if name in self.faults:
                raise self.faults[name]
        left = [name for name in self.numbers if name not in found]
        if not found:
            raise UserError(
                f"{self.settings.path} has no number columns beside the label (columns: "
                f"{listed([*self.numbers, self.settings.label])}). Name the text column: data.text=COLUMN."
            )
        if left:
            log.info("Columns without numbers are left out: %s", listed(left))
        return found


class Labels:
    """Counts the classes of a table and finds out whether they are classes at all.

    Args:
        settings: how the table is read.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.splits: dict[str, set[str | None]] = {}  # class -> the splits it occurs in
        self.first: dict[str, str] = {}  # class -> where it stands first

    def add(self, label: str, part: Part, number: int) -> None:
        """Count one label."""
        self.counts[label] += 1
        if label not in self.splits:
            self.splits[label] = set()
            self.first[label] = part.file.where(number, self.settings.label)
        self.splits[label].add(part.split)
        if len(self.counts) > 50 * MOST_CLASSES:
            raise self._no_classes()

    def checked(self) -> list[str]:
        """Return the classes: in the order of their numbers if all are numbers, else in alphabetical order.

        Raises:
            UserError: there is one class only, one that training never sees, or these are no classes.
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
        values = [_parsed(name) for name in self.counts]
        broken = all(value is not None for value in values) and any(not value.is_integer() for value in values if value)
        if (
            distinct > MOST_CLASSES
            or (distinct > total / 2 and distinct > 20)
            or (broken and distinct > min(20, total / 2))
        ):
            raise self._no_classes()
        for name, splits in self.splits.items():
            if splits.isdisjoint({"train", None}):
                raise UserError(
                    f'{self.first[name]}: the class "{name}" is only in the {" and ".join(sorted(splits))} file, never '
                    f"in training, so it cannot be learnt. Add training rows of it, or correct the label."
                    + closest(name, [other for other in self.counts if other != name])
                )
        return sorted(self.counts, key=lambda name: (_parsed(name) is None, _parsed(name) or 0.0, name))

    def _no_classes(self) -> UserError:
        label, total = self.settings.label, self.counts.total()
        numbers = all(_parsed(name) is not None for name in self.counts)
        advice = (
            "These are numbers, not classes: type task=regression."
            if numbers
            else "Is this the right column (data.label)? Classes occur many times each."
        )
        return UserError(
            f'{self.settings.path}, column "{label}": {len(self.counts)} different labels in {total} rows '
            f"({listed(map(_short, self.counts), 4)}). {advice}"
        )


# Facts in a configuration: ${infer:num_classes} in conf/data/csv.yaml.


def register() -> None:
    """Make the resolvers `infer` and `infer_hub` known to OmegaConf; they read the keys beside them (path, label)."""
    OmegaConf.register_new_resolver("infer", _infer, replace=True)
    OmegaConf.register_new_resolver("infer_hub", _infer_hub, replace=True)


def settle(data: DictConfig) -> dict[str, str]:
    """Replace the inferred keys of a data node by their values and remove those whose fact does not exist.

    Returns:
        The removed keys, each with the reason in words.

    Raises:
        UserError: the table cannot be read.
    """
    raw = OmegaConf.to_container(data, resolve=False)
    removed: dict[str, str] = {}
    for name in [name for name, value in raw.items() if isinstance(value, str) and "${infer" in value]:
        try:
            OmegaConf.update(data, name, data[name])
        except Exception as error:
            cause = user_error(error)
            if cause is None:
                raise
            if not isinstance(cause, MissingFact):
                raise cause from None
            removed[name] = str(cause)
    with open_dict(data):
        for name in removed:
            del data[name]
    return removed


def user_error(error: BaseException | None) -> UserError | None:
    """Return the UserError inside an exception of OmegaConf, which wraps what a resolver raises."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _infer(fact: str, *, _parent_: DictConfig, _root_: DictConfig) -> Any:
    if fact == "target":
        return _wanted_target(_root_)
    if fact == "num_targets":
        return 1
    return fact_of(fact, _settings(_parent_))


def _wanted_target(root: DictConfig) -> str:
    """Tell how the label is read: as a number if the task or the model asks for `data.num_targets`."""
    nodes = [root.get(name) for name in ("task", "model")]
    raw = [OmegaConf.to_container(node, resolve=False) for node in nodes if isinstance(node, DictConfig)]
    return "number" if "${data.num_targets}" in json.dumps(raw) else "class"


def _settings(node: DictConfig) -> Settings:
    """Read the settings of a table from its node, as far as it has them."""
    for name in ("path", "label"):
        if name not in node or OmegaConf.is_missing(node, name) or node[name] is None:
            raise UserError(f"data.{name} is not set: {_ASK[name]}")
    given = {name: node[name] for name in Settings.__dataclass_fields__ if name in node and node[name] is not None}
    if "features" in given:
        given["features"] = tuple(given["features"])
    return Settings(**({"text": None} | given | {"path": str(given["path"]), "label": str(given["label"])}))


_ASK = {
    "path": "type data.path=FILE (CSV, TSV, JSON, JSONL, Parquet or text), a folder or an address.",
    "label": "type data.label=COLUMN, the column to predict.",
}


def fact_of(name: str, settings: Settings) -> Any:
    """Return a fact of a table by its name.

    Raises:
        MissingFact: a table read this way has no such fact.
        UserError: the table cannot be read.
    """
    found = facts(settings)
    if name == "num_classes":
        if settings.target == "number":
            raise MissingFact(
                f'data.num_classes does not exist: the label "{settings.label}" is read as numbers here. '
                f"For classes type task=classification."
            )
        return len(found.classes)
    if name == "vocab_size":
        if not settings.text:
            raise MissingFact(
                "data.text is not set, so there is no vocabulary: name the column with the text, data.text=COLUMN. "
                f"Columns of {settings.path}: {listed(found.columns)}."
            )
        return VOCAB_SIZE
    if name == "in_features":
        if settings.text:
            raise MissingFact(
                f"data.text={settings.text} is set, so the input is text and there are no number columns: take a model "
                f"for text, or leave data.text away."
            )
        return len(found.features)
    raise UserError(
        f"A table has no fact {name!r} to infer: num_classes, num_targets, in_features, vocab_size, target."
    )


def _infer_hub(fact: str, *, _parent_: DictConfig) -> Any:
    for name in ("path", "label"):
        if OmegaConf.is_missing(_parent_, name):
            raise UserError(f"data.{name} is not set: type data.path=ID (a dataset of the hub) and data.label=COLUMN.")
    if fact != "num_classes":
        raise UserError(f"A dataset of the hub has no fact {fact!r} to infer: num_classes.")
    if _parent_.target == "number":
        raise MissingFact("data.num_classes does not exist: the label is read as numbers (task=regression).")
    splits = sources.hub(_parent_.path, _parent_.revision, _parent_.subset)
    return len(sources.hub_classes(splits, _parent_.label))
