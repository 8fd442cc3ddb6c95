"""`runner predict`: answers for a text, a row, a file of any size or standard input."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from runner.config import safety
from runner.errors import UserError
from runner.files.atomic import write_atomically
from runner.files.rows import read_rows
from runner.inference.predictor import BATCH, Predictor
from runner.tracking.artifacts import model_folder
from runner.tracking.tracker import find_run
from runner.verbs.explain import show_words

DELIMITERS = {".csv": ",", ".tsv": "\t", ".jsonl": ""}


def answer(settings: dict[str, str | None], row: dict[str, str], outputs: Path) -> int:
    """Answer what the command line asks for; one row is printed for people, many are written as CSV or JSON lines.

    Args:
        settings: run, input, output, resume, explain, figure, allow and tracking.uri of the command line.
        row: the raw columns given on the command line, such as {"text": "..."}.
        outputs: the folder with the runs and their database.
    """
    safety.allow(settings["allow"])
    file, output = settings["input"], settings["output"]
    if row and file:
        raise UserError("give either a row (text=...) or input=FILE, not both")
    if output and Path(output).suffix not in DELIMITERS:
        raise UserError(f"output is a file that ends in {', '.join(DELIMITERS)}; received {output!r}")
    again = truth(settings["resume"], "resume")
    if again and not (output and file not in (None, "-")):
        raise UserError("resume=true goes on with an output file: it needs input=FILE and output=FILE")
    explained = truth(settings.get("explain"), "explain")
    if (explained or settings.get("figure")) and not (explained and row and not output):
        raise UserError('explain=true goes with one text: runner predict run=last text="..." explain=true')
    found = find_run(settings["tracking.uri"], outputs, settings["run"], status="FINISHED")
    predictor = Predictor(model_folder(found, settings["tracking.uri"], outputs))
    if row:
        rows: Iterable[tuple[str, dict]] = [("the row", row)]
    elif file and file != "-":
        rows = read_rows(file)
    else:
        rows = lines(sys.stdin)
    if row and not output:
        for name, value in next(predictor.answers(rows)).items():
            print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
        if explained:
            show_words(predictor, row, Path(settings["figure"] or "explanation.png"))
        return 0
    if not output:
        for one in predictor.answers(rows):
            print(json.dumps(one, ensure_ascii=False), flush=sys.stdout.isatty())
        return 0
    job = {"run": found.id, **stamp(file)} if file and file != "-" else {"run": found.id}
    with Output(Path(output), job, again) as sink:
        if not sink.complete:
            for one in predictor.answers(islice(rows, sink.rows, None)):
                sink.write(one)
        print(f"{sink.rows} rows in {output}", file=sys.stderr)
    return 0


def truth(word: str | None, name: str) -> bool:
    """Read true or false of the command line."""
    if word in (None, "false", "true"):
        return word == "true"
    raise UserError(f"{name} is true or false, received {word!r}")


def stamp(file: str) -> dict[str, Any]:
    """What tells an input file from another one, or from itself after a change."""
    path = Path(file).resolve()
    stat = path.stat() if path.exists() else None
    return {"input": str(path), "size": stat and stat.st_size, "changed_ns": stat and stat.st_mtime_ns}


def lines(stream: Iterable[str]) -> Iterator[tuple[str, dict]]:
    """One row a line: a JSON object, or else a text; each with its place in words."""
    if getattr(stream, "isatty", lambda: False)():
        print("one text, or one JSON object, a line; Ctrl-D ends", file=sys.stderr)
    for number, line in enumerate(stream, start=1):
        line = line.rstrip("\r\n")
        if not line.strip():
            continue
        try:
            row = json.loads(line) if line.lstrip().startswith("{") else {"text": line}
        except json.JSONDecodeError:
            row = {"text": line}  # a text may begin with a brace
        yield f"standard input, line {number}", row


class Output:
    """A file of answers, written row by row; one that a kill has cut off is gone on with.

    While it is incomplete, a note beside it (`.NAME.unfinished`) says what it is made of.

    Args:
        path: ends in .csv, .tsv or .jsonl.
        job: what decides the answers: the run and the input file.
        again: whether to go on with what is there.
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
                    "to write it anew"
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
            self.file.write(json.dumps(one, ensure_ascii=False) + "\n")
        else:
            if self.table is None:
                self.table = csv.DictWriter(self.file, list(one), delimiter=self.delimiter, lineterminator="\n")
                if not self.rows:
                    self.table.writeheader()
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
def writer(output: str | None) -> Iterator[Callable[[dict], None]]:
    """A function that writes one row: to a .csv, .tsv or .jsonl file, or nowhere."""
    if output is None:
        yield lambda one: None
        return
    if Path(output).suffix not in DELIMITERS:
        raise UserError(f"output is a file that ends in {', '.join(DELIMITERS)}; received {output!r}")
    with Output(Path(output), {}, again=False) as sink:
        yield sink.write
