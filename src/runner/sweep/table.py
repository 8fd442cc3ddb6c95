"""The closing tables of a sweep: all jobs, and a table for a paper; as text, Markdown, LaTeX and CSV."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from runner.sweep.by_row import RowDifference, row_difference, runs_by_part
from runner.sweep.nested import chosen_by_fold, nested_scores
from runner.sweep.state import JobState, SweepState
from runner.sweep.statistics import Summary, are_repeated, best_settings, difference, groups, setting_keys, summaries

MOST_SINGLE = 10  # settings without repetitions that are compared with the best one, row by row
LATEX = str.maketrans({"\\": r"\textbackslash{}", "±": r"$\pm$"} | {sign: rf"\{sign}" for sign in "_%&#${}"})


@dataclass
class ResultTable:
    """A table of text cells.

    Args:
        title: what it shows.
        header: heading of each column.
        rows: the cells.
        bold: (row, column) of the cells that are the best of their column.
        name: of its CSV file, without the ending; "" = it has none.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    bold: set[tuple[int, int]] = field(default_factory=set)
    name: str = ""

    def cells(self, escape: Callable[[str], str], strong: Callable[[str], str]) -> list[list[str]]:
        return [
            [strong(escape(cell)) if (y, x) in self.bold else escape(cell) for x, cell in enumerate(row)]
            for y, row in enumerate(self.rows)
        ]

    def markdown(self) -> str:
        rows = self.cells(lambda text: text.replace("|", r"\|"), lambda text: f"**{text}**")
        lines = [self.header, ["---"] * len(self.header), *rows]
        return f"{self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def latex(self) -> str:
        """Return a tabular that needs \\usepackage{booktabs}."""
        rows = self.cells(lambda text: text.translate(LATEX), lambda text: rf"\textbf{{{text}}}")
        lines = [" & ".join(row) + r" \\" for row in [[name.translate(LATEX) for name in self.header], *rows]]
        columns = "".join("r" if all(map(is_numeric_cell, cells)) else "l" for cells in zip(*self.rows, strict=True))
        top, bottom = rf"\begin{{tabular}}{{{columns or 'l' * len(self.header)}}}", r"\end{tabular}"
        body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
        return "\n".join([f"% {self.title}; needs \\usepackage{{booktabs}}", top, *body, bottom]) + "\n"

    def print(self, console: Any) -> None:
        from rich import box, table

        columns = [table.Column(name, overflow="fold") for name in self.header]  # a narrow terminal hides nothing
        drawn = table.Table(*columns, title=self.title, title_justify="left", box=box.SIMPLE_HEAD)
        for row in self.cells(lambda text: text.replace("[", r"\["), lambda text: f"[bold]{text}[/]"):
            drawn.add_row(*row)
        console.print(drawn)


def job_table(state: SweepState, columns: list[str]) -> ResultTable:
    """All jobs in order: what varies, their metrics, and how they ended if not all finished."""
    several = len(state.jobs_in(JobState.FINISHED)) < len(state.jobs)
    header = ["job", *state.keys, *columns, *(["status"] if several else []), "run"]
    rows: list[list[str]] = []
    bold = set()
    for number, job in sorted(state.jobs.items()):
        if number in state.best:
            bold |= {(len(rows), 0), *((len(rows), 1 + len(state.keys) + n) for n in range(len(state.metrics)))}
        values = [number_text(job.values.get(name)) for name in columns]
        status = [str(job.status)] if several else []
        rows.append([str(number), *(short(job.value(key)) for key in state.keys), *values, *status,
                     (job.run_id or "")[:8]])  # fmt: skip
    return ResultTable(f"sweep {state.name}: {len(state.jobs)} jobs", header, rows, bold)


def setting_table(state: SweepState, columns: list[str], paper: bool) -> ResultTable:
    """A row for each setting: mean ± deviation of each metric over the jobs that differ in seed or fold alone.

    Args:
        state: the sweep.
        columns: the metrics.
        paper: whether it is for a paper, with the datasets side by side; otherwise each dataset has its own rows, with
            the number of repetitions and the 95 % interval of each mean.
    """
    names = setting_keys(state.keys)
    across = names.index("data") if paper and "data" in names and len(names) > 1 else None
    found: dict[tuple[str, ...], dict[tuple[str, str], Summary]] = {}
    datasets: dict[str, None] = {} if across is not None else {"": None}
    for values, jobs in groups(state).items():
        data, setting = ("", values) if across is None else (values[across], values[:across] + values[across + 1 :])
        datasets[data] = None
        found.setdefault(setting, {}).update({(data, name): one for name, one in summaries(jobs, columns).items()})
    measured = [(data, name) for data in datasets for name in columns]
    counts = {setting: max((one.count for one in row.values()), default=0) for setting, row in found.items()}

    header = [name for place, name in enumerate(names) if place != across]
    rows = [[short(value) for value in setting] for setting in found]
    if not paper:
        header.append("n")
        rows = [[*row, str(count)] for row, count in zip(rows, counts.values(), strict=True)]
    bold = set()
    for data, name in measured:
        cells = [row.get((data, name)) for row in found.values()]
        means = {place: one.mean for place, one in enumerate(cells) if one is not None}
        if (direction := direction_of(state, name)) and len(rows) > 1 and means:
            bold.add(((min if direction == "min" else max)(means, key=means.__getitem__), len(header)))
        header += [f"{data} {name}".strip(), *([] if paper else ["95 % interval"])]
        for row, one in zip(rows, cells, strict=True):
            row += [mean_text(one), *([] if paper else [interval_text(one)])]
    repeats = "/".join(map(str, sorted(set(counts.values()))))
    over = f", mean ± standard deviation over {repeats} runs" if set(counts.values()) - {1} else ""
    return ResultTable(f"{state.name}{over}", header, rows, bold, "paper" if paper else "settings")


def difference_table(state: SweepState, columns: list[str]) -> ResultTable:
    """How far each setting is from the one that the sweep picks.

    In pairs of runs with the same seed and fold, and where the runs say what they answered, row by row of the test
    split: the difference with its interval over rows, and of single runs McNemar's p.
    """
    found, repeated = groups(state), are_repeated(state.keys)
    columns = columns if repeated else []
    tested = {setting: runs_by_part(state, jobs) for setting, jobs in found.items()}
    rows: list[list[str]] = []
    by_row = {setting: row_difference(tested[setting], tested[best]) for setting, best in pairs_of(state)}
    metric = next((one.metric for one in by_row.values() if one), None)
    added = 0 if metric is None else 3 if any(one and one.p is not None for one in by_row.values()) else 2
    for setting, best in pairs_of(state):
        compared = [difference(found[setting], found[best], state.keys, name) for name in columns]
        cells = [(mean_text(one.summary), number_text(one.p)) if one else ("", "") for one in compared]
        if any(compared) or by_row[setting]:
            last = row_cells(by_row[setting])[:added]
            rows.append([*map(short, setting), ", ".join(map(short, best)), *chain.from_iterable(cells), *last])
    header = [*setting_keys(state.keys), "minus", *chain.from_iterable((name, "p") for name in columns)]
    header += [f"{metric} over test rows", "95 % interval", "McNemar's p"][:added]
    what = "differences between runs of the same seed and fold" if repeated else "differences from the best"
    return ResultTable(f"{state.name}: {what}", header, rows, name="differences")


def pairs_of(state: SweepState) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return each setting that is not the best on its data, with the best one; none if there are too many."""
    found = best_settings(state) if state.metrics else {}
    few = are_repeated(state.keys) or len(found) <= MOST_SINGLE
    return [(setting, best) for setting, best in found.items() if setting != best] if few else []


def row_cells(one: RowDifference | None) -> list[str]:
    """Return difference, interval and p of a comparison row by row."""
    if one is None:
        return ["", "", ""]
    return [f"{one.mean:+.4f}", f"{number_text(one.low)} to {number_text(one.high)}", number_text(one.p)]


def closing_tables(state: SweepState, columns: list[str]) -> list[ResultTable]:
    """All jobs, preceded by the settings with their intervals if there are repetitions, and by differences."""
    if not groups(state):
        return [job_table(state, columns)]
    compared, nested = difference_table(state, columns), nested_table(state, columns)
    return [
        *([setting_table(state, columns, paper=False)] if are_repeated(state.keys) else []),
        *(table for table in (compared, nested) if table.rows),
        job_table(state, columns),
    ]


def nested_table(state: SweepState, columns: list[str]) -> ResultTable:
    """The setting that validation chooses in each fold, with its metrics, and their means over the folds."""
    scores = nested_scores(state, columns)
    chosen = chosen_by_fold(state) if scores else {}
    header = ["fold", *setting_keys(state.keys), *scores]
    rows = [
        [fold, *map(short, setting), *(number_text(values[name]) for name in scores)]
        for fold, (setting, values) in chosen.items()
    ]
    rows += [["mean", *[""] * (len(header) - 1 - len(scores)), *map(mean_text, scores.values())]] if scores else []
    title = f"{state.name}: nested cross-validation, the setting that is best on the validation part of each fold"
    return ResultTable(title, header, rows, name="nested")


def direction_of(state: SweepState, name: str) -> str | None:
    """Return min or max for a metric of the sweep, or the same metric of another split; None if it is not known."""
    known = dict(zip(state.metrics, state.directions, strict=True))
    tails = {metric.split("/", 1)[-1]: direction for metric, direction in known.items()}
    return known.get(name) or tails.get(name.split("/", 1)[-1])


def write_tables(state: SweepState, columns: list[str]) -> list[Path]:
    """Write every table into the sweep's folder and return their paths.

    table.md and table.tex hold all of them; paper.csv, settings.csv and differences.csv one each as it is shown, and
    jobs.csv every job with all its metrics in full precision.
    """
    markdown, latex, plain = paths = [state.folder / name for name in ("table.md", "table.tex", "jobs.csv")]
    pages = [setting_table(state, columns, paper=True), *closing_tables(state, columns)]
    markdown.write_text("\n".join(page.markdown() for page in pages), encoding="utf-8")
    latex.write_text("\n".join(page.latex() for page in pages), encoding="utf-8")
    for page in pages:
        if page.name:
            paths.append(state.folder / f"{page.name}.csv")
            write_lines(paths[-1], [page.header, *page.rows])
    metrics = sorted({name for job in state.jobs.values() for name in job.values})
    lines: list[list[Any]] = [["job", "status", "run_id", *state.keys, *metrics]]
    for number, job in sorted(state.jobs.items()):
        values = [job.values.get(name, "") for name in metrics]
        lines.append([number, job.status, job.run_id or "", *(job.value(key) for key in state.keys), *values])
    write_lines(plain, lines)
    return paths


def write_lines(path: Path, lines: list[list[Any]]) -> None:
    """Write lines of cells as a CSV file."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)


def number_text(value: float | None) -> str:
    """Return a number as the tables show it."""
    if value is None:
        return ""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def mean_text(one: Summary | None) -> str:
    """Return mean and deviation, both to the same place; only the mean if nothing is repeated."""
    if one is None or one.count == 1:
        return number_text(one.mean) if one else ""
    mean = number_text(one.mean)
    return f"{mean} ± {one.std:.4f}" if re.search(r"\.\d{4}$", mean) else f"{mean} ± {one.std:.3g}"


def interval_text(one: Summary | None) -> str:
    """Return the ends of the 95 % interval; "" if nothing is repeated."""
    return f"{number_text(one.low)} to {number_text(one.high)}" if one and one.count > 1 else ""


def short(text: str) -> str:
    """Return the value of an override, a long number with four digits."""
    return f"{float(text):.4g}" if len(text) > 7 and is_numeric_cell(text) else text


def is_numeric_cell(text: str) -> bool:
    """Return whether a cell holds a number, with or without its deviation."""
    return re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?( ± .*)?", text, re.I) is not None
