"""`runner predict`: answers for a text, a row, a file of any size or standard input."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from runner.errors import UserError, closest
from runner.verbs.options import File, OfModel, Typed, options

if TYPE_CHECKING:
    from runner.inference.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class Predict(OfModel):
    """Answer raw rows: a text, the columns of a table, a file or standard input.

    A table's columns are given one by one, as in `predict run=last sepal_length=5.1 sepal_width=3.5 ...`. Without a row
    and without input, rows are read from standard input: one text, or one JSON object, a line.

    Args:
        row: text="...", or COLUMN=VALUE of each column.
        input: a file of rows: CSV, TSV, JSON, JSONL, Parquet or text, of any size.
        output: the file of answers, .csv, .tsv or .jsonl; usually they are printed.
        resume: continue an output that was cut off.
        explain: show which words of the text mattered, and draw them.
        figure: the file that explain=true draws, .png, .pdf or .svg; usually explanation.png.
    """

    row: Annotated[tuple[str, ...], Typed('text="..."', form="rest", candidates=lambda: ["text="])] = ()
    input: File = None
    output: File = None
    resume: bool = False
    explain: bool = False
    figure: File = None

    def __call__(self) -> int:
        from runner.inference.output import check_ending
        from runner.inference.predictor import Predictor

        file = self.input if self.input and str(self.input) != "-" else None
        if self.row and self.input:
            raise UserError("give either a row (text=...) or input=FILE, not both")
        if self.output:
            check_ending(self.output)
        if self.resume and not (self.output and file):
            raise UserError("resume=true continues an output file: it needs input=FILE and output=FILE")
        if (self.explain or self.figure) and not (self.explain and self.row and not self.output):
            raise UserError('explain=true goes with one text: runner predict run=last text="..." explain=true')
        words = [argument for argument in self.row if "=" not in argument]
        if words:
            raise UserError(f"predict takes key=value arguments, received {' '.join(words)!r}")
        predictor = Predictor(self.bundle())
        if self.row and not self.output:
            return self.answer_row(predictor, self.columns(predictor))
        if self.row:
            rows: Iterable[tuple[str, dict]] = [("the row", self.columns(predictor))]
        else:
            from runner.files.rows import read_rows

            rows = read_rows(file) if file else typed_rows(sys.stdin)
        if self.output:
            return self.write(predictor, rows, file, self.output)
        for one in predictor.answers(rows):
            print(json.dumps(one, ensure_ascii=False), flush=sys.stdout.isatty())
        return 0

    def columns(self, predictor: "Predictor") -> dict[str, str]:
        """Return the row of the command line.

        Raises:
            UserError: a key is neither a column of the model nor an option.
        """
        row = dict(argument.split("=", 1) for argument in self.row)
        columns = predictor.columns
        named = [*columns, *(["text"] if list(columns.values()) == ["string"] else [])]
        for key in row:
            if key not in named:
                keys = [option.typed.key for option in options(Predict) if option.typed.form == "option"]
                raise UserError(
                    f'"{key}" is not a column of this model and not an option.{closest(key, [*named, *keys])} '
                    f"Columns: {', '.join(columns)}; options: {', '.join(keys)}"
                )
        return row

    def answer_row(self, predictor: "Predictor", row: dict[str, str]) -> int:
        """Print the answer for one row, for people."""
        for name, value in next(predictor.answers([("the row", row)])).items():
            print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
        if self.explain:
            from runner.verbs.explain import show_words

            show_words(predictor, row, self.figure or Path("explanation.png"))
        return 0

    def write(self, predictor: "Predictor", rows: Iterable[tuple[str, dict]], file: Path | None, output: Path) -> int:
        """Write the answers to a file."""
        from runner.inference.output import Output

        job = {"run": self.info.id, **(stamp(file) if file else {})}
        with Output(output, job, self.resume) as sink:
            if not sink.complete:
                for one in predictor.answers(islice(rows, sink.rows, None)):
                    sink.write(one)
            print(f"{sink.rows} rows in {output}", file=sys.stderr)
        return 0


def stamp(file: Path) -> dict[str, Any]:
    """What tells an input file from another one, or from itself after a change."""
    path = file.resolve()
    stat = path.stat() if path.exists() else None
    return {"input": str(path), "size": stat and stat.st_size, "changed_ns": stat and stat.st_mtime_ns}


def typed_rows(stream: Iterable[str]) -> Iterator[tuple[str, dict]]:
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
