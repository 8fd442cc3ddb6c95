"""Files of rows in every format a table may come in, read row by row with the place of each row.

CSV, TSV, JSON (a list of objects), JSONL, Parquet and plain text (one text per line, column "text"); the text
formats may be compressed with gzip.
"""

import csv
import gzip
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any, Literal

from runner.errors import UserError, closest, first_line
from runner.files import progress

ENDINGS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".parquet": "parquet", ".txt": "txt", ".text": "txt",
}  # fmt: skip
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

Bytes = BufferedReader | gzip.GzipFile


def listed(names: Iterable[Any], most: int = 12) -> str:
    """Return the first names with commas between them, for a message."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def no_column(where: str, column: str, names: Iterable[Any], key: str = "", advice: str = "") -> UserError:
    """Return the error for a column that is not there, with the closest name of those that are.

    Args:
        where: what lacks it, such as a file or a row.
        column: its name.
        names: of the columns that are there.
        key: the setting that names the column, such as data.label.
        advice: what to do about it.
    """
    names = [str(name) for name in names]
    setting = f" ({key})" if key else ""
    there = f"it has: {listed(names) or 'none'}.{closest(column, names)} {advice}".rstrip()
    return UserError(f'{where} has no column "{column}"{setting}; {there}')


class TableFile:
    """One file of rows.

    Args:
        path: the file.
        shown: its name in messages; None = the path.
        encoding: of a text format.
        delimiter: between the cells of a CSV or TSV file; None = comma or tab by the file's ending.
        quoted: whether quotation marks enclose cells of a CSV or TSV file; False = they are ordinary
            characters.
        format: csv, tsv, json, jsonl, parquet or txt; None = by the file's ending.

    Raises:
        UserError: the file is missing, empty, or of no known format.
    """

    def __init__(
        self,
        path: str | Path,
        shown: str | None = None,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        quoted: bool = True,
        format: str | None = None,
    ):
        self.path = Path(path)
        self.shown = shown or str(path)
        self.encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        self.quoted = quoted
        if not self.path.is_file():
            raise missing(self.path, self.shown)
        if self.path.stat().st_size == 0:
            raise UserError(f"{self.shown} is empty (0 bytes). Give a file with a header line and rows.")
        self.format = format or _format(self.path, self.shown)
        self.unit = "row" if self.format in ("json", "parquet") else "line"
        self.delimiter = delimiter or ("\t" if self.format == "tsv" else ",")
        if len(self.delimiter) != 1:
            raise UserError(f'data.delimiter="{delimiter}": a delimiter is one character, such as ";" or "\\t".')

    def where(self, number: int, column: str | None = None) -> str:
        """Return the place of a cell or row in words, for the beginning of a message."""
        return f"{self.shown}, {self.unit} {number}" + (f', column "{column}"' if column is not None else "")

    def columns(self) -> list[str]:
        """Return the names of the columns: the header, or the keys of the first object."""
        if self.format not in ("csv", "tsv", "parquet"):
            _, cells = next(self.rows())
            return list(cells)
        with self._readable(), open_bytes(self.path) as raw:
            if self.format == "parquet":
                return self._parquet(raw).schema_arrow.names
            return self._header(self._records(raw))

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (line or row number, column -> cell), cells as text or as JSON and Parquet have them."""
        read = {"csv": self._read_csv, "tsv": self._read_csv, "parquet": self._read_parquet}
        read |= {"json": self._read_json, "jsonl": self._read_jsonl, "txt": self._read_txt}
        count = 0
        size = self.path.stat().st_size
        with self._readable(), progress.bar(f"Reading {self.shown}", size) as update, open_bytes(self.path) as raw:
            for count, row in enumerate(read[self.format](raw), 1):
                if count % 1000 == 0 and not raw.closed:  # JSON is read as a whole before its first row
                    update(getattr(raw, "fileobj", raw).tell())  # in a compressed file, its compressed bytes
                yield row
        if not count:
            raise UserError(f"{self.shown} has no rows: there is nothing to learn from.")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn whatever a library makes of a damaged file into one sentence that names the file."""
        try:
            yield
        except UserError:
            raise
        except RecursionError:
            raise UserError(f"{self.shown} cannot be read: its lists or objects are nested too deeply.") from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(f"{self.shown} is not a complete gzip file: {first_line(error)}.") from None
        except (OSError, ValueError) as error:
            kind = "a readable Parquet file" if self.format == "parquet" else f"readable as {self.format}"
            raise UserError(f"{self.shown} is not {kind}: {first_line(error)}") from None

    def _lines(self, raw: Bytes) -> Iterator[str]:
        """Yield the lines of a text format, decoded."""
        newline = "" if self.format in ("csv", "tsv") else None
        try:
            with TextIOWrapper(raw, self.encoding, newline=newline) as lines:
                yield from lines
        except LookupError:
            common = ["utf-8", "latin-1", "cp1252", "utf-16", "gbk"]
            raise UserError(
                f'data.encoding="{self.encoding}" is not known to Python. Common ones: {", ".join(common)}.'
                + closest(self.encoding, common)
            ) from None
        except UnicodeDecodeError as error:
            raise self._wrong_encoding(error) from None

    def _wrong_encoding(self, error: UnicodeDecodeError) -> UserError:
        """Find the line that cannot be decoded: the text layer decodes in blocks and does not know it."""
        with open_bytes(self.path) as handle:
            start = handle.read(2)
            handle.seek(0)
            if start in (b"\xff\xfe", b"\xfe\xff"):
                return UserError(
                    f"{self.shown}, line 1: not {self.encoding} text but utf-16. Type data.encoding=utf-16."
                )
            for number, line in enumerate(handle, 1):
                try:
                    line.decode(self.encoding)
                except UnicodeDecodeError as found:
                    before = line[max(found.start - 20, 0) : found.start].decode(self.encoding, "replace")
                    return UserError(
                        f"{self.where(number)}: byte 0x{line[found.start]:02x} after {before!r} is not "
                        f"{self.encoding.removesuffix('-sig')} text. Type data.encoding=latin-1 (or cp1252, gbk, "
                        f"utf-16 ...), or save the file as UTF-8."
                    )
        return UserError(f"{self.shown} is not {self.encoding} text: {error}. Type data.encoding=utf-8 or latin-1.")

    # One reader for each format.

    def _records(self, raw: Bytes) -> Iterator[tuple[int, list[str]]]:
        """Yield (line on which the record begins, its cells)."""
        csv.field_size_limit(2**31 - 1)  # one cell may hold a whole book
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        lines = self._lines(raw)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True, quoting=quoting, skipinitialspace=True)
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UserError(
                    f"{self.where(number)}: a quotation mark is misplaced or never closed ({error}). Double the marks "
                    'inside a cell ("" for "), or type data.quoted=false if they are ordinary characters.'
                ) from None
            if cells:
                yield number, cells

    def _header(self, records: Iterator[tuple[int, list[str]]]) -> list[str]:
        _, names = next(records, (1, []))
        names = [name.strip() for name in names]
        if not any(names):
            raise UserError(f"{self.shown} is empty: its first line should name the columns.")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            places = [str(place) for place, name in enumerate(names, 1) if name == twice[0]]
            raise UserError(
                f'{self.shown}, line 1: the column "{twice[0]}" occurs twice (columns '
                f"{' and '.join(places)}). Rename one."
            )
        return names

    def _read_csv(self, raw: Bytes) -> Iterator[tuple[int, dict]]:
        records = self._records(raw)
        names = self._header(records)
        number = None
        for number, cells in records:
            if len(cells) != len(names):
                raise UserError(
                    f"{self.where(number)}: {len(cells)} cells where the header has {len(names)} ({listed(names)}). "
                    f"A cell that holds {DELIMITERS.get(self.delimiter, repr(self.delimiter))} needs quotation marks "
                    "around it; another delimiter is set with data.delimiter=';'."
                )
            yield number, dict(zip(names, cells, strict=True))
        if number is None:
            raise UserError(f"{self.shown} has only a header ({listed(names)}) and no rows.")

    def _read_txt(self, raw: Bytes) -> Iterator[tuple[int, dict]]:
        for number, line in enumerate(self._lines(raw), 1):
            yield number, {"text": line.rstrip("\n")}

    def _read_jsonl(self, raw: Bytes) -> Iterator[tuple[int, dict]]:
        example = '{"text": "a fine film", "label": "good"}'
        for number, line in enumerate(self._lines(raw), 1):
            if not line.strip():
                continue
            try:
                cells = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(
                    f"{self.where(number)}: not valid JSON ({error.msg}, character {error.colno}). "
                    f"Every line of a JSONL file is one object, such as {example}."
                ) from None
            if not isinstance(cells, dict):
                raise UserError(f"{self.where(number)}: {kind(cells)} where an object is expected, such as {example}.")
            yield number, cells

    def _read_json(self, raw: Bytes) -> Iterator[tuple[int, dict]]:
        """Decode the objects of the list one by one, so that only the text itself is in memory."""
        text = "".join(self._lines(raw))
        decoder = json.JSONDecoder()
        position = _past_space(text, 0)
        if not text.startswith("[", position):
            raise UserError(
                f"{self.shown} should hold a list of objects, [{{...}}, {{...}}]. One object per line is the format "
                f"JSONL: rename the file to .jsonl."
            )
        position = _past_space(text, position + 1)
        number = 0
        while not text.startswith("]", position):
            number += 1
            try:
                cells, position = decoder.raw_decode(text, position)
                position = _past_space(text, position)
                if text.startswith(",", position):
                    position = _past_space(text, position + 1)
                elif not text.startswith("]", position):
                    raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
            except json.JSONDecodeError as error:
                raise UserError(
                    f"{self.where(number)}: not valid JSON ({error.msg}, line {error.lineno}, character {error.colno})."
                ) from None
            if not isinstance(cells, dict):
                raise UserError(f"{self.where(number)}: {kind(cells)} where an object is expected, [{{...}}, {{...}}].")
            yield number, cells
        end = _past_space(text, position + 1)
        if end < len(text):
            line = text.count("\n", 0, end) + 1
            raise UserError(
                f"{self.shown}, line {line}: more follows after the end of the list. A JSON file holds one list."
            )

    def _parquet(self, raw: Bytes):
        import pyarrow.parquet

        return pyarrow.parquet.ParquetFile(raw)

    def _read_parquet(self, raw: Bytes) -> Iterator[tuple[int, dict]]:
        batches = self._parquet(raw).iter_batches(batch_size=1000)
        yield from enumerate((cells for batch in batches for cells in batch.to_pylist()), 1)


def open_bytes(path: Path) -> Bytes:
    """Open a file for reading that may be compressed with gzip."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")


def ending_of(path: Path) -> str:
    """Return what the name of a file ends in, such as ".csv", also where it is compressed."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _format(path: Path, shown: str) -> str:
    ending = ending_of(path)
    if ending in (".xlsx", ".xls", ".ods"):
        raise UserError(f"{shown} is a spreadsheet. Save it as CSV (File, Save as, CSV UTF-8) and give that file.")
    if ending not in ENDINGS:
        raise UserError(
            f'{shown}: the ending "{ending}" is not known. Allowed: {", ".join(ENDINGS)} (the text formats '
            "also with .gz)." + closest(ending, ENDINGS)
        )
    return ENDINGS[ending]


def _past_space(text: str, position: int) -> int:
    """Return the position of the next character that is not a space."""
    space = re.compile(r"\s*").match(text, position)
    return space.end() if space else position


def kind(value: Any) -> str:
    """Return what a value of JSON or Parquet is, in words."""
    kinds = {
        list: "a list",
        str: "a text",
        bytes: "bytes",
        bool: "true or false",
        type(None): "null",
        dict: "an object",
    }
    return kinds.get(type(value), "a number")


def missing(path: Path, shown: str) -> UserError:
    """Return the error for a file that is not there, with the closest name of its folder, or that is not a file."""
    if path.exists():
        kinds = {"a folder": path.is_dir(), "a pipe": path.is_fifo(), "a socket": path.is_socket()}
        found = next((name for name, is_it in kinds.items() if is_it), "a device")
        return UserError(f"{shown} is {found}, where a file is expected. Write the rows into a file and give that.")
    if path.is_symlink():
        return UserError(f"{shown} is a link to {os.readlink(path)}, where no file can be reached. Correct the link.")
    folder = path.parent
    if not folder.is_dir():
        return UserError(f"{shown} does not exist: there is no folder {folder}. Paths start at {Path.cwd()}.")
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    tables = [name for name in names if ending_of(Path(name)) in ENDINGS]
    near = closest(path.name, names)
    there = f" Files there: {listed(tables)}." if tables and not near else ""
    return UserError(f"{shown} does not exist in {folder.resolve()}.{near}{there}")
