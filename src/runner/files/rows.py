"""A user's own table, read row by row, with errors that name file, line or row, and column.

A table is one file in a format of tables.py, a folder with train, val and test files or with one text file for
each class, or an http(s) address. This module runs before the training libraries are imported: what a table holds
(`facts`) is part of the configuration.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from runner.errors import UserError
from runner.files import cache, sources
from runner.files.cells import (
    Labels,
    NumberColumns,
    Part,
    Settings,
    check_columns,
    combined,
    read_category,
    read_number,
    read_target,
    read_text,
)
from runner.files.tables import ENDINGS, TableFile, ending_of, listed

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
CHECKS = 3  # raise it when tables are refused that were not before: facts in the cache are then found again
MOST_IN_A_CATEGORY = 20  # different words that a short table may have in a column of categories
VOCAB_SIZE = 10_000  # words, unless the user says otherwise


class MissingFact(UserError):
    """The table is sound but has no such fact, for example no `vocab_size` without a text column."""


class Row(NamedTuple):
    """One checked row: its split, its target (a class name or a number, or several), its text or two, its numbers and
    its categories ("" = missing)."""

    split: str | None
    target: str | float | tuple[str, ...] | tuple[float, ...]
    text: str = ""
    numbers: Sequence[float] = ()
    second: str = ""
    categories: Sequence[str] = ()


@dataclass
class Facts:
    """What one pass over a table finds.

    Args:
        rows: number of rows.
        features: names of the number columns.
        classes: distinct labels, in order.
        columns: names of all columns.
        category_sizes: distinct categories of each category column, and one more for what is missing or unknown.
    """

    rows: int
    features: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    category_sizes: list[int] = field(default_factory=list)


def parts(settings: Settings) -> list[Part]:
    """Return the files that `path` names.

    Raises:
        UserError: nothing is there, or a folder has no training file.
    """

    def opened(path: Path, shown: str | None = None) -> TableFile:
        return TableFile(path, shown, settings.encoding, settings.delimiter, settings.quoted)

    if settings.path.startswith(("http://", "https://")):
        return [Part(None, opened(sources.url(settings.path), settings.path))]
    path = Path(settings.path).expanduser()
    if not path.is_dir():
        return [Part(None, opened(path, settings.path))]
    files = sorted(file for file in path.iterdir() if ending_of(file) in ENDINGS and not file.name.startswith("."))
    placed: dict[str, Path] = {}
    for file in files:
        split = SPLIT_NAMES.get(_stem(file))
        if split in placed:
            raise UserError(f"{settings.path} has two {split} files, {placed[split].name} and {file.name}. Keep one.")
        if split:
            placed[split] = file
    if "train" in placed:
        return [Part(split, opened(placed[split])) for split in ("train", "val", "test") if split in placed]
    if len(files) > 1 and not placed and all(ENDINGS[ending_of(file)] == "txt" for file in files):
        return [Part(None, opened(file), label=_stem(file)) for file in files]
    there = listed(file.name for file in files) or "no tables"
    raise UserError(
        f"{settings.path} has no train file; it holds {there}. A folder has a train file, and may have val and test "
        f"files (endings: {', '.join(ENDINGS)}), or it has one .txt file for each class; or give one file."
    )


def _stem(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).stem


def digest(settings: Settings) -> str:
    """Return the SHA-256 of the bytes of a table: of its file, or of the digests of its files."""
    digests = [cache.file_digest(part.file.path) for part in parts(settings)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def rows(settings: Settings, features: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the checked rows of all files, training first.

    Args:
        settings: how the table is read.
        features: number columns, as `facts` finds them.

    Raises:
        UserError: a cell is not what its column should hold; the message names file, line or row, and column.
    """
    for part in parts(settings):
        check_columns(part, settings)
        for number, cells in part.file.rows():
            target = read_target(part, number, cells, settings)
            texts = [read_text(part.file, number, cells, name) for name in settings.texts]
            numbers = [read_number(part.file, number, cells, name, settings) for name in features]
            categories = [read_category(part.file, number, cells, name) for name in settings.categories]
            yield Row(part.split, target, "".join(texts[:1]), numbers, "".join(texts[1:]), categories)


def read_rows(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (place in words, column -> cell) of every row of one file, unchecked: rows for a trained model to answer.

    Raises:
        UserError: the file cannot be read.
    """
    file = TableFile(path, encoding=encoding)
    for number, cells in file.rows():
        yield file.where(number), cells


def facts(settings: Settings) -> Facts:
    """Read the whole table once, check every row, and return what is in it; remembered until a file changes.

    Raises:
        UserError: the table is wrong in any way.
    """
    stats = {str(part.file.path.resolve()): part.file.path.stat() for part in parts(settings)}
    files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()]

    def write(folder: Path) -> None:
        (folder / "facts.json").write_text(json.dumps(asdict(_read_facts(settings))), encoding="utf-8")

    folder = cache.prepared("facts", {"files": files, "checks": CHECKS, **asdict(settings)}, write)
    return Facts(**json.loads((folder / "facts.json").read_text(encoding="utf-8")))


def check_different(found: Sequence[Part]) -> None:
    """Check that no two splits are the same file.

    Raises:
        UserError: two of them are.
    """
    splits = [part for part in found if part.split]
    sizes = [part.file.path.stat().st_size for part in splits]
    first: dict[str, str] = {}
    for part, size in zip(splits, sizes, strict=True):
        digest = cache.file_digest(part.file.path) if sizes.count(size) > 1 else part.file.shown
        if digest in first:
            raise UserError(
                f"{part.file.shown} and {first[digest]} are the same: a score on training rows says nothing about "
                f"new ones. Give {part.split} rows of its own, or leave the file out: rows are then kept back for it."
            )
        first[digest] = part.file.shown


def told(settings: Settings, found: Facts) -> Iterator[tuple[str, bool]]:
    """Yield, in sentences, what of a table is read, and whether the user should look at it."""
    kinds = {"text": settings.texts, "numbers": found.features, "categories": settings.categories}
    what = ", ".join(f"the {kind} of {listed(names)}" for kind, names in kinds.items() if names)
    how = f"{len(found.classes)} classes ({listed(found.classes, 6)})" if found.classes else "numbers"
    how = how.replace("classes", "labels, any number of them in a row,") if settings.target == "labels" else how
    yield f"Read: {what}; as label {listed(settings.labels)}, {how}", False
    read = [name for names in kinds.values() for name in names]
    left = [name for name in found.columns if name not in (*read, *settings.labels)]
    if left and (settings.text or settings.features is not None):
        yield f"Left out: {listed(left)}", False
    elif left:
        yield f"Left out, since they hold words and not numbers: {listed(left)}", True
    else:
        yield "Left out: no column", False
    if settings.target == "labels":
        return
    if several := combined(found.classes):
        yield (
            f'Labels such as "{several[0]}" seem to be several labels in one; each is read as a class of its own '
            f"({len(several)} of {len(found.classes)} classes)",
            True,
        )


def _read_facts(settings: Settings) -> Facts:
    if settings.target not in ("class", "number", "labels"):
        raise UserError(f'data.target="{settings.target}" is not known. Allowed: class, number, labels.')
    found = Facts(rows=0)
    labels = Labels(settings)
    columns = NumberColumns(settings)
    categories: dict[str, set[str]] = {name: set() for name in settings.categories}
    check_different(parts(settings))
    for part in parts(settings):
        names = check_columns(part, settings)
        found.columns = found.columns or names
        for number, cells in part.file.rows():
            found.rows += 1
            target = read_target(part, number, cells, settings)
            for label in target if isinstance(target, tuple) else (target,):
                if settings.target != "number":
                    labels.add(str(label), part, number)
            for name in settings.texts:
                read_text(part.file, number, cells, name)
            for name, seen in categories.items():
                seen.add(read_category(part.file, number, cells, name))
            if settings.reads_numbers:
                columns.add(part.file, number, cells)
    if settings.target != "number":
        found.classes = labels.checked()
    if settings.reads_numbers:
        found.features = columns.checked()
    for name, seen in categories.items():
        if len(seen) > max(MOST_IN_A_CATEGORY, found.rows / 2):
            raise UserError(
                f'{settings.path}, column "{name}": {len(seen)} words in {found.rows} rows are not categories, '
                "which occur many times each. Leave it out of data.categories, or read it as data.text."
            )
    found.category_sizes = [len(seen - {""}) + 1 for seen in categories.values()]
    return found
