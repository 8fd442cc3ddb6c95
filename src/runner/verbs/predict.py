"""`runner predict`: answers for a text, a row, a file of any size or standard input."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from runner.errors import UserError, closest
from runner.verbs.options import File, OfWeights, Typed, options

if TYPE_CHECKING:
    from runner.inference.predictor import Predictor


@dataclass(kw_only=True)
class Predict(OfWeights):
    """Predict for raw rows: a text, the columns of a table, a file or standard input.

    A table's columns are given one by one, as in `predict run=last sepal_length=5.1 sepal_width=3.5 ...`. Without a row
    and without input, rows are read from standard input: one text or one JSON object per line.

    Args:
        row: text="...", or COLUMN=VALUE for each column; some models also answer questions, such as near=WORD, and have
            settings of their own, such as n_best=5 of one that translates.
        input: a file of rows: CSV, TSV, JSON, JSONL, Parquet or text, of any size.
        output: the file of answers, .csv, .tsv or .jsonl; usually they are printed.
        resume: continue an output that was cut off.
        keep_columns: write the columns of the input in front of the answers.
        interactive: load the model once and answer what is typed, a line at a time: a text, COLUMN=VALUE for each
            column, a question or a JSON object. An empty line or Ctrl-D ends it.
        task: what the model is asked if not its usual question: features (the vector that it makes of a row), or a name
            such as fill_mask, generate or zero_shot, which is refused if the model does not fit.
        explain: show which words of the text mattered, and draw them.
        figure: the file that explain=true draws, .png, .pdf or .svg; usually explanation.png.
        neighbours: show as many training examples that are most alike to the net; it reads the data of the run.
    """

    row: Annotated[tuple[str, ...], Typed('text="..."', form="rest", candidates=lambda: ["text="])] = ()
    input: File = None
    output: File = None
    resume: bool = False
    keep_columns: bool = False
    interactive: bool = False
    task: Annotated[str | None, Typed("NAME")] = None
    explain: bool = False
    figure: File = None
    neighbours: Annotated[int | None, Typed("K", allowed=range(1, 101))] = None

    def __call__(self) -> int:
        from runner.files.rows import read_rows
        from runner.inference.bundle import settings_at_use
        from runner.inference.output import check_ending
        from runner.inference.predictor import Predictor

        words = [argument for argument in self.row if "=" not in argument]
        if words:
            raise UserError(f"predict takes key=value arguments, received {' '.join(words)!r}")
        bundle = self.bundle()
        typed = dict(argument.split("=", 1) for argument in self.row)
        settings = {key: typed.pop(key) for key in settings_at_use(bundle) if key in typed}
        self.settings += tuple(f"task.{key}={value}" for key, value in settings.items())
        file = self.input if str(self.input) != "-" else None
        if typed and self.input:
            raise UserError("give either a row (text=...) or input=FILE, not both")
        if self.output:
            check_ending(self.output)
        if self.resume and not (self.output and file):
            raise UserError("resume=true continues an output file: it needs input=FILE and output=FILE")
        if (self.explain or self.figure) and not (self.explain and typed and not self.output):
            raise UserError('explain=true goes with one text: runner predict run=last text="..." explain=true')
        if self.neighbours and (not typed or self.output or self.checkpoint or self.task):
            raise UserError('neighbours=K goes with one row: runner predict run=last text="..." neighbours=3')
        if self.interactive and (typed or self.input or self.output):
            raise UserError("interactive=true reads what is typed: leave the row, input= and output= out")
        predictor = self.with_weights(Predictor(bundle, changed=self.changed, question=self.task))
        if self.interactive:
            converse(predictor, self.keep_columns)
            return 0
        if not typed:
            rows = read_rows(file) if file else typed_rows(sys.stdin)
            self.write(lambda done: predictor.answers(islice(rows, done, None), self.keep_columns), file)
            return 0
        found = answers_to(predictor, typed, self.keep_columns)
        if self.output:
            self.write(lambda done: iter(found), None)
            return 0
        for one in found:
            for part in predictor.task.shown(one):
                print(part)
        if self.explain:
            from runner.verbs.explain import show_words

            show_words(predictor, typed, self.figure or Path("explanation.png"))
        if self.neighbours:
            self.show_neighbours(typed, self.neighbours)
        return 0

    def show_neighbours(self, row: dict[str, Any], most: int) -> None:
        """Print the training examples that are most alike to a row."""
        from runner.inference.predictor import cleaned
        from runner.verbs.evaluate import own_data
        from runner.verbs.examine import most_alike

        run = self.info
        if run.folder is None or not run.folder.is_dir():
            raise UserError(f"neighbours=: the folder of run {run.id} is not on this machine: {run.folder}")
        task, data, _ = own_data(run.folder, "train", self.changed)
        (found,) = most_alike(task, data, [cleaned(row, data.columns, "the row")], most)
        print(*(one.sentence for one in found), sep="\n")

    def write(self, answers: Callable[[int], Iterator[dict]], file: Path | None) -> None:
        """Write answers to the output, or print them.

        Args:
            answers: takes the number of rows that are already answered, returns the answers for the rest.
            file: where the rows come from; None = not from a file.
        """
        from runner.inference.output import Output

        if not self.output:
            for one in answers(0):
                print(json.dumps(one, ensure_ascii=False, default=str), flush=sys.stdout.isatty())
            return
        asked: dict[str, Any] = {"task": self.task} if self.task else {}
        asked |= {"checkpoint": self.checkpoint} if self.checkpoint else {}
        asked |= {"keep_columns": True} if self.keep_columns else {}
        job = {"run": self.info.id, **asked, **(stamp(file) if file else {}), **self.changed}
        with Output(self.output, job, self.resume) as sink:
            if not sink.complete:
                for one in answers(sink.rows):
                    sink.write(one)
            print(f"{sink.rows} rows in {self.output}", file=sys.stderr)


def answers_to(predictor: "Predictor", row: dict[str, Any], keep: bool = False) -> list[dict]:
    """Return what the model answers to what is typed: the columns of one row, or a question of its objective.

    Args:
        predictor: the model.
        row: what is typed, by column or question.
        keep: whether an answer follows its row.

    Raises:
        UserError: a key is neither a column of the model, nor a question, nor an option.
    """
    columns, questions = predictor.columns, predictor.task.questions()
    if len(row) == 1 and (asked := next(iter(row))) in questions:
        return questions[asked](row[asked], predictor.data)
    named = [*columns, *(["text"] if list(columns.values()) == ["string"] else [])]
    keys = [option.key for option in options(Predict) if option.form == "option"]
    for key in row:
        if key in questions:
            raise UserError(f"{key}= is a question of its own: leave {', '.join(row.keys() - {key})} out")
        if key not in named:
            settings = list(predictor.task.at_use)
            known = {"Columns": list(columns), "questions": list(questions), "settings": settings, "options": keys}
            near = closest(key, [*named, *questions, *settings, *keys])
            said = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in known.items() if names)
            raise UserError(f'"{key}" is not a column of this model and not an option.{near} {said}')
    return list(predictor.answers([("the row", row)], keep))


def converse(predictor: "Predictor", keep: bool = False) -> None:
    """Answer lines until one is empty; what cannot be answered is said, and the next line is read."""
    asking = sys.stdin.isatty()
    if asking:
        import readline  # noqa: F401 (lines can be edited and repeated)

        hint = " ".join(f"{name}=..." for name in [*predictor.columns][:8])
        print(f"A text, {hint} or a JSON object; an empty line or Ctrl-D ends it.", flush=True)
    while True:
        try:
            line = input("> " if asking else "").strip()
        except EOFError:
            return
        if not line:
            return
        try:
            for one in answers_to(predictor, typed_line(predictor, line), keep):
                print(*predictor.task.shown(one), sep="\n", flush=True)
        except UserError as error:
            print(error, flush=True)


def typed_line(predictor: "Predictor", line: str) -> dict[str, Any]:
    """Return what a line of a conversation says: KEY=VALUE for known keys, a JSON object, or else a text.

    Raises:
        UserError: it is none of these, and the model takes more than a text.
    """
    columns = predictor.columns
    only_text = list(columns.values()) == ["string"]
    keys = "|".join(map(re.escape, [*columns, *(["text"] if only_text else []), *predictor.task.questions()]))
    if re.match(rf"(?:{keys})=", line):
        parts = re.split(rf"(?:^|\s+)({keys})=", line)[1:]
        return {key: value.strip("\"'") for key, value in zip(parts[::2], parts[1::2], strict=True)}
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except json.JSONDecodeError:  # a text may begin with a brace
            found = None
        if isinstance(found, dict):
            return found
    if not only_text:
        near = closest(line.partition("=")[0], [*columns, *predictor.task.questions()])
        raise UserError(f"type {' '.join(f'{name}=...' for name in columns)} in one line, or a JSON object.{near}")
    return {next(iter(columns)): line}


def stamp(file: Path) -> dict[str, Any]:
    """What distinguishes an input file from another one, or from itself after a change."""
    path = file.resolve()
    stat = path.stat() if path.exists() else None
    return {"input": str(path), "size": stat and stat.st_size, "changed_ns": stat and stat.st_mtime_ns}


def typed_rows(stream: Iterable[str]) -> Iterator[tuple[str, dict]]:
    """One row per line: a JSON object, or else a text; each with its place in words."""
    if getattr(stream, "isatty", lambda: False)():
        print("one text or one JSON object per line; end with Ctrl-D", file=sys.stderr)
    for number, line in enumerate(stream, start=1):
        line = line.rstrip("\r\n")
        if not line.strip():
            continue
        try:
            row = json.loads(line) if line.lstrip().startswith("{") else {"text": line}
        except json.JSONDecodeError:
            row = {"text": line}  # a text may begin with a brace
        yield f"standard input, line {number}", row
