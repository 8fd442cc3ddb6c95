"""A file of answers, written row by row, that is continued where a kill has cut it off."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.errors import UserError
from runner.files.atomic import write_atomically
from runner.inference.predictor import BATCH

DELIMITERS = {".csv": ",", ".tsv": "\t", ".jsonl": ""}


def check_ending(path: Path) -> None:
    """Refuse a file of answers of another format."""
    if path.suffix not in DELIMITERS:
        raise UserError(f"output is a file that ends in {', '.join(DELIMITERS)}; received {str(path)!r}")


class Output:
    """A file of answers, written row by row; one that a kill has cut off is continued.

    While it is incomplete, a note next to it (`.NAME.unfinished`) says what it is made from.

    Args:
        path: ends in .csv, .tsv or .jsonl.
        job: what the answers depend on: the run and the input file.
        again: whether to continue what is there.
    """

    def __init__(self, path: Path, job: dict[str, Any], again: bool):
        self.path = path
        self.delimiter = DELIMITERS[path.suffix]
        self.note = path.with_name(f".{path.name}.unfinished")
        self.rows = 0
        self.complete = False
        kept = 0
        if again and path.exists():
            self.complete = not self.note.exists()
            if not self.complete and json.loads(self.note.read_text(encoding="utf-8")) != job:
                raise UserError(
                    f"{path} was begun with another run or input file, or that file has changed. Leave resume=true out "
                    "to write it again"
                )
            self.rows, kept = complete_rows(path, self.delimiter, whole=self.complete)
        if not self.complete:
            write_atomically(self.note, json.dumps(job))
            with open(path, "ab") as file:
                file.truncate(kept)
        self.file = open(path, "a", encoding="utf-8", newline="")  # noqa: SIM115 (closed by __exit__)
        self.table: csv.DictWriter | None = None

    def write(self, one: dict) -> None:
        """Append one row."""
        if not self.delimiter:
            self.file.write(json.dumps(one, ensure_ascii=False, default=str) + "\n")
        else:
            if self.table is None:
                self.table = csv.DictWriter(self.file, list(one), delimiter=self.delimiter, lineterminator="\n")
                if not self.rows:
                    self.table.writeheader()
            if one.keys() != {*self.table.fieldnames}:  # kept columns of rows that differ, as lines of JSON may
                raise UserError(
                    f"{self.path}, row {self.rows + 1} has the columns {', '.join(map(str, one))}, those before it "
                    f"{', '.join(map(str, self.table.fieldnames))}. Write a file that ends in .jsonl"
                )
            self.table.writerow(one)
        self.rows += 1
        if self.rows % BATCH == 0:
            self.file.flush()

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, kind: type | None, *exception: object) -> None:
        self.file.close()
        if kind is None:
            self.note.unlink(missing_ok=True)


def complete_rows(path: Path, delimiter: str, whole: bool = False) -> tuple[int, int]:
    """Return (rows, bytes) of the whole batches at the beginning of a file of answers.

    An answer may depend on the batch it is in, in the last digit: the rows that follow must begin a batch again.

    Args:
        path: the file.
        delimiter: between cells; "" = JSON lines.
        whole: count all rows.
    """
    records = size = kept_rows = kept = 0
    quotes = 0  # an odd number so far: the line ends inside a cell
    with open(path, "rb") as file:
        for line in file:
            size += len(line)
            quotes += line.count(b'"') if delimiter else 0
            if quotes % 2 or not line.endswith(b"\n"):
                continue
            records += 1
            rows = records - 1 if delimiter else records
            if rows > 0 and (whole or rows % BATCH == 0):
                kept_rows, kept = rows, size
    return kept_rows, kept


@contextmanager
def writer(output: Path | None) -> Iterator[Callable[[dict], None]]:
    """A function that writes one row: to a .csv, .tsv or .jsonl file, or nowhere."""
    if output is None:
        yield lambda one: None
        return
    check_ending(output)
    with Output(output, {}, again=False) as sink:
        yield sink.write
