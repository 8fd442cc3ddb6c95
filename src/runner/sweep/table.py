"""The closing tables of a sweep: every job, and the one a paper would print; as text, Markdown, LaTeX and CSV."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.sweep.state import SweepState
from runner.sweep.statistics import Summary, groups, settings, summaries

LATEX = {"\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}


@dataclass
class Table:
    """Cells as they are shown.

    Args:
        title: what it shows.
        header: heading of each column.
        rows: the cells.
        bold: (row, column) of the cells that are the best of their column.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    bold: set[tuple[int, int]] = field(default_factory=set)

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
        rows = self.cells(latex, lambda text: rf"\textbf{{{text}}}")
        lines = [" & ".join(row) + r" \\" for row in [[latex(name) for name in self.header], *rows]]
        columns = "".join("r" if all(map(is_number, cells)) else "l" for cells in zip(*self.rows, strict=True))
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


def job_table(state: SweepState, columns: list[str]) -> Table:
    """Every job in order: what varies, its metrics, and how it ended where that is not the usual way."""
    several = any(job.status != "finished" for job in state.jobs.values())
    header = ["job", *state.keys, *columns, *(["status"] if several else []), "run"]
    rows, bold = [], set()
    for number, job in sorted(state.jobs.items()):
        if number in state.best:
            bold |= {(len(rows), 0), *((len(rows), 1 + len(state.keys) + n) for n in range(len(state.metrics)))}
        values = [show(job.values.get(name)) for name in columns]
        status = [job.status] if several else []
        rows.append([str(number), *(short(job.value(key)) for key in state.keys), *values, *status,
                     (job.run_id or "")[:8]])  # fmt: skip
    return Table(f"sweep {state.name}: {len(state.jobs)} jobs", header, rows, bold)


def group_table(state: SweepState, columns: list[str]) -> Table | None:
    """Mean, deviation and 95 % interval of what is repeated with other seeds or folds; None if nothing is."""
    found = groups(state.jobs, state.keys)
    if not found:
        return None
    names = list(settings(state.jobs[0], state.keys))
    header = [*names, "n", *(part for name in columns for part in (name, "95 % interval"))]
    rows, means = [], []
    for values, numbers in found.items():
        said = summaries(state.jobs, numbers, columns)
        cells = []
        for name in columns:
            one = said.get(name)
            if one is None:
                cells += ["", ""]
            elif one.count == 1:
                cells += [show(one.mean), ""]
            else:
                cells += [plus_minus(one), f"{show(one.low)} to {show(one.high)}"]
        rows.append([*map(short, values), str(len(numbers)), *cells])
        means.append({name: one.mean for name, one in said.items()})
    bold = {(best_row(means, name, direction), len(names) + 1 + 2 * x)
            for x, name in enumerate(columns) if (direction := direction_of(state, name)) and len(rows) > 1
            and any(name in mean for mean in means)}  # fmt: skip
    return Table("mean ± standard deviation over repetitions", header, rows, bold)


def paper_table(state: SweepState, columns: list[str]) -> Table:
    """What a paper would print: a row for each setting, mean ± deviation, and the datasets side by side."""
    found = groups(state.jobs, state.keys)
    if not found:
        found = {tuple(settings(job, state.keys).values()): [number] for number, job in sorted(state.jobs.items())
                 if job.status == "finished"}  # fmt: skip
    names = list(settings(state.jobs[0], state.keys))
    across = names.index("data") if "data" in names and len(names) > 1 else None
    datasets = list(dict.fromkeys(values[across] for values in found)) if across is not None else [""]
    wide = [(data, name) for data in datasets for name in columns]
    cells: dict[tuple[str, ...], dict[tuple[str, str], tuple[float, str]]] = {}
    repeats = set()
    for values, numbers in found.items():
        row = tuple(value for place, value in enumerate(values) if place != across)
        data = values[across] if across is not None else ""
        for name, one in summaries(state.jobs, numbers, columns).items():
            repeats.add(one.count)
            text = show(one.mean) if one.count == 1 else plus_minus(one)
            cells.setdefault(row, {})[data, name] = one.mean, text
    rows = [[*map(short, row), *(said.get(column, (0.0, ""))[1] for column in wide)] for row, said in cells.items()]
    own = [name for place, name in enumerate(names) if place != across]
    bold = set()
    for x, column in enumerate(wide):
        means = [{column: said[column][0]} if column in said else {} for said in cells.values()]
        if (direction := direction_of(state, column[1])) and len(rows) > 1 and any(means):
            bold.add((best_row(means, column, direction), len(own) + x))
    over = f", mean ± standard deviation over {'/'.join(map(str, sorted(repeats)))} runs" if repeats - {1} else ""
    return Table(f"{state.name}{over}", [*own, *(f"{data} {name}".strip() for data, name in wide)], rows, bold)


def best_row(means: list[dict[Any, float]], column: Any, direction: str) -> int:
    """Return the number of the row with the best value of a column that at least one row has."""
    rows = [row for row, values in enumerate(means) if column in values]
    pick = min if direction == "min" else max
    return pick(rows, key=lambda row: means[row][column])


def direction_of(state: SweepState, name: str) -> str | None:
    """Return min or max for a metric of the sweep, or the same metric of another split; None where it is not known."""
    known = dict(zip(state.metrics, state.directions, strict=True))
    tails = {metric.split("/", 1)[-1]: direction for metric, direction in known.items()}
    return known.get(name) or tails.get(name.split("/", 1)[-1])


def write_tables(state: SweepState, columns: list[str]) -> list[Path]:
    """Write table.md, table.tex and jobs.csv into the sweep's folder and return their paths."""
    paper, grouped = paper_table(state, columns), group_table(state, columns)
    pages = [paper, *([grouped] if grouped else []), job_table(state, columns)]
    files = {
        "table.md": "\n".join(page.markdown() for page in pages),
        "table.tex": paper.latex(),
    }
    for name, text in files.items():
        (state.folder / name).write_text(text, encoding="utf-8")
    metrics = sorted({name for job in state.jobs.values() for name in job.values})
    with open(state.folder / "jobs.csv", "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["job", "status", "run_id", *state.keys, *metrics])
        for number, job in sorted(state.jobs.items()):
            values = [job.values.get(name, "") for name in metrics]
            lines.writerow([number, job.status, job.run_id or "", *(job.value(key) for key in state.keys), *values])
    return [state.folder / name for name in (*files, "jobs.csv")]


def show(value: float | None) -> str:
    """Return a number as the tables show it."""
    if value is None:
        return ""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def plus_minus(one: Summary) -> str:
    """Return mean and deviation, both to the same place."""
    mean = show(one.mean)
    return f"{mean} ± {one.std:.4f}" if re.search(r"\.\d{4}$", mean) else f"{mean} ± {one.std:.3g}"


def short(text: str) -> str:
    """Return the text of an override, a long number in four digits."""
    return f"{float(text):.4g}" if len(text) > 7 and is_number(text) else text


def is_number(text: str) -> bool:
    """Say whether a cell holds a number, with or without its deviation."""
    return re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?( ± .*)?", text, re.I) is not None


def latex(text: str) -> str:
    """Return the text with LaTeX's special signs escaped."""
    escaped = "".join(LATEX.get(sign, sign) for sign in text)
    return escaped.replace("±", r"$\pm$")
