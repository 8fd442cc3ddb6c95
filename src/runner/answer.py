"""`runner predict`: answers for a text, a row, a file or standard input."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.errors import UserError, closest
from runner.predict import Predictor
from runner.tracking import find_run


def answer(settings: dict[str, str | None], row: dict[str, str], outputs: Path) -> int:
    """Answer what the command line asks for; one row is printed for people, many are written as CSV or JSON lines.

    Args:
        settings: run, input, output and tracking.uri of the command line.
        row: the raw columns given on the command line, such as {"text": "..."}.
        outputs: the folder with the runs and their database.
    """
    found = find_run(settings["tracking.uri"], outputs, settings["run"], status="FINISHED")
    predictor = Predictor(found.folder / "model")
    if row and settings["input"]:
        raise UserError("give either a row (text=...) or input=FILE, not both")
    if row:
        rows: Iterable[dict] = [row]
    elif settings["input"]:
        rows = read_rows(Path(settings["input"]))
    else:
        rows = lines(sys.stdin)
    answers = predictor(checked(rows, predictor.columns))
    if row and not settings["output"]:
        for name, value in next(iter(answers)).items():
            print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
        return 0
    with writer(settings["output"]) as write:
        for one in answers:
            write(one)
    return 0


def read_rows(path: Path) -> Iterator[dict]:
    """Raw rows of a file, one at a time."""
    from runner.tables import read_rows as rows_of

    for _, row in rows_of(path):
        yield row


def lines(stream: Iterable[str]) -> Iterator[dict]:
    """One row a line: a JSON object, or else a text."""
    for line in stream:
        line = line.rstrip("\n")
        yield json.loads(line) if line.startswith("{") else {"text": line}


def checked(rows: Iterable[dict], columns: dict[str, str]) -> Iterator[dict]:
    """Make each row hold exactly the columns the model needs, numbers as numbers.

    Raises:
        UserError: naming the row and the column that is missing, empty or no number.
    """
    only_text = len(columns) == 1 and next(iter(columns.values())) == "string"
    for number, row in enumerate(rows, start=1):
        if only_text and "text" in row and next(iter(columns)) not in row:
            row = {next(iter(columns)): row["text"]}
        clean = {}
        for name, kind in columns.items():
            if name not in row:
                raise UserError(
                    f"row {number} has no column {name!r}.{closest(name, row)} The model needs: {', '.join(columns)}; "
                    f"received: {', '.join(map(str, row)) or 'nothing'}"
                )
            clean[name] = number_of(row[name], number, name) if kind in ("double", "long") else row[name]
            if kind == "string" and not str(row[name]).strip():
                raise UserError(f"row {number}: column {name!r} is empty")
        yield clean


def number_of(value: Any, row: int, column: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"row {row}, column {column!r}: {value!r} is not a number") from None


@contextmanager
def writer(output: str | None):
    """A function that writes one answer: to a .csv or .jsonl file, or as JSON lines to standard output."""
    if output is None:
        yield lambda one: print(json.dumps(one, ensure_ascii=False))
        return
    path = Path(output)
    if path.suffix not in (".csv", ".jsonl"):
        raise UserError(f"output is a .csv or .jsonl file, received {output!r}")
    with open(path, "w", encoding="utf-8", newline="") as file:
        table: csv.DictWriter | None = None

        def write(one: dict) -> None:
            nonlocal table
            if path.suffix == ".jsonl":
                file.write(json.dumps(one, ensure_ascii=False) + "\n")
                return
            if table is None:
                table = csv.DictWriter(file, fieldnames=list(one))
                table.writeheader()
            table.writerow(one)

        yield write
