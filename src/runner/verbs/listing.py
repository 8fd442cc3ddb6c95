"""`runner list` and `runner show`, from YAML and source files alone."""

import io
import json
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from runner.config.catalog import KINDS, Catalog, folders
from runner.config.wording import show
from runner.errors import UserError, closest
from runner.verbs.options import Choosing, Typed

if TYPE_CHECKING:
    from runner.config.signatures import Signature

LONGEST = 10_000  # characters of a line that is not wrapped


def kinds() -> list[str]:
    return [name if " " not in name else group for group, name in KINDS.items()]


def every_choice() -> list[str]:
    catalog = Catalog(folders(()))
    return sorted({name for group in catalog.groups for name in catalog.choices(group)})


@dataclass(kw_only=True)
class List(Choosing):
    """List what there is to choose from.

    Args:
        kind: models, data, tasks ...; usually all of them.
        format: text for people, json for programs.
    """

    kind: Annotated[str | None, Typed("models|data|tasks|...", form="words", candidates=kinds)] = None
    format: Literal["text", "json"] = "text"

    def __call__(self) -> int:
        print(list_text(self.kind, self.folders, self.format))
        return 0


@dataclass(kw_only=True)
class Show(Choosing):
    """Show the YAML, source, parameters and an example command of a choice.

    Args:
        name: of the choice, such as textcnn; where two groups have it, group and name: trainer/default.
    """

    name: Annotated[str, Typed("NAME", form="words", candidates=every_choice)]

    def __call__(self) -> int:
        print(show_text(self.name, self.folders))
        return 0


def list_text(
    what: str | None = None, extra_dirs: Iterable[str | Path] = (), format: Literal["text", "json"] = "text"
) -> str:
    """Return what `runner list` prints: every choice with its summary, and for a model the data it can read.

    Args:
        what: one kind ("models", "data", "optimizers", "callbacks" ...); None = all of KINDS.
        extra_dirs: folders of the user with more choices.
        format: "text", or "json" for {"models": {"textcnn": {"summary": ..., "data": [...]}}}.

    Raises:
        UserError: there is no such kind.
    """
    catalog = Catalog(folders(extra_dirs))
    found = {KINDS.get(group, group): _summaries(catalog, group) for group in _wanted(catalog, what)}
    if format == "json":
        return json.dumps(found, indent=2, ensure_ascii=False)
    from rich.table import Table
    from rich.text import Text

    tables: list[Any] = []
    for kind, rows in found.items():
        group = next((group for group, name in KINDS.items() if name == kind), kind)
        title = f"{kind} ({group}=NAME)"
        table = Table(
            title=title, title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 2)
        )
        table.add_column(no_wrap=True, style="cyan")
        table.add_column()
        for name, row in rows.items():
            text = Text(row["summary"])
            if kind == "models":
                text.append(f"\nreads: {_data_names(catalog, row['data'])}", style="dim")
            table.add_row(name, text)
        tables += [table, ""]
    return _printed(tables)


def _wanted(catalog: Catalog, what: str | None) -> list[str]:
    if what is None:
        return [group for group in KINDS if group in catalog.groups]
    names = {name: group for group in catalog.groups for name in (group, KINDS.get(group, group + "s"))}
    if what not in names:
        allowed = ", ".join(KINDS.get(group, group) for group in catalog.groups)
        raise UserError(f'list: there is no kind "{what}".{closest(what, names)} Allowed: {allowed}.')
    return [names[what]]


def _summaries(catalog: Catalog, group: str) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for name in catalog.choices(group):
        rows[name] = {"summary": catalog.summary(group, name)}
        if group == "model":
            rows[name]["data"] = catalog.readable(name)
        if group == "data":
            rows[name]["models"] = catalog.readers(name)
    return rows


def _data_names(catalog: Catalog, names: list[str]) -> str:
    """Return "imdb, movie_reviews + your own table with data=csv"."""
    ready = [name for name in names if not catalog.needs_path(name)]
    own = [f"data={name}" for name in names if catalog.needs_path(name)]
    texts = ([", ".join(ready)] if ready else []) + ([f"your own table with {' or '.join(own)}"] if own else [])
    return " + ".join(texts) or "nothing in this catalog"


def _printed(parts: Iterable[Any]) -> str:
    """Return what rich prints: in colour and wrapped on a terminal, otherwise plain lines of any length."""
    from rich.console import Console

    out, terminal = io.StringIO(), sys.stdout.isatty()
    width = max(60, min(shutil.get_terminal_size((100, 25)).columns, 120)) if terminal else LONGEST
    console = Console(file=out, force_terminal=terminal, width=width, highlight=False)
    console.print(*parts, sep="\n")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


# --- runner show -------------------------------------------------------------------------------------------------


def show_text(name: str, extra_dirs: Iterable[str | Path] = ()) -> str:
    """Return what `runner show NAME` prints: what it is, its source, YAML, arguments, and what it goes with.

    Args:
        name: a choice ("textcnn"), or group and choice ("trainer/default", "trainer=default").
        extra_dirs: folders of the user with more choices.

    Raises:
        UserError: there is no such choice.
    """
    catalog = Catalog(folders(extra_dirs))
    matches, choice = groups_with(catalog, name)
    pages = [_sections(catalog, each, choice) for each in matches]
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.text import Text

    parts: list[Any] = []
    for page in pages:
        for title, body in page:
            shown = Syntax(body, "yaml", background_color="default") if title.endswith(".yaml") else Text(body)
            parts += [Text(title, style="bold cyan" if title == page[0][0] else "bold"), Padding(shown, (0, 2)), ""]
    return _printed(parts)


def groups_with(catalog: Catalog, name: str) -> tuple[list[str], str]:
    """Return the groups that have a choice of this name, and the choice.

    Args:
        catalog: where to look.
        name: a choice ("textcnn"), or group and choice ("trainer/default", "trainer=default").

    Raises:
        UserError: there is none.
    """
    group, _, choice = name.replace("=", "/").rpartition("/")
    matches = [each for each in catalog.groups if group in ("", each) and choice in catalog.choices(each)]
    if not matches:
        names = sorted({each for group in catalog.groups for each in catalog.choices(group)})
        hint = f" See `runner list {name}`." if name in (*catalog.groups, *KINDS.values()) else " See `runner list`."
        raise UserError(f'there is nothing called "{name}".{closest(choice, names)}{hint}')
    return matches, choice


def _sections(catalog: Catalog, group: str, name: str) -> list[tuple[str, str]]:
    """Return the (title, text) pairs of one choice."""
    from runner.config.signatures import signature

    node = catalog.node(group, name)
    target = node.get("_target_")
    found = signature(target) if isinstance(target, str) else None
    sections = [
        (
            f"{group}={name}",
            "\n".join(c for c in catalog.comments(group, name) if not c.startswith(("runner ", "tiny:"))),
        )
    ]
    sections.append(("Run it", catalog.example(group, name)))
    if found is not None:
        docs = [found.module_doc if found.target.startswith("runner.") else "", found.doc]
        docs = [re.split(r"^Args:", doc, maxsplit=1, flags=re.M)[0].strip() for doc in docs]
        where = f"{found.file}:{found.line}" if found.file else ""
        sections.append((found.target, "\n\n".join(filter(None, [*docs, where]))))
    elif isinstance(target, str):
        sections.append((target, "(not found)"))
    if arguments := _argument_lines(catalog, group, name, node, found):
        sections.append(("Arguments", arguments))
    if group == "model":
        sections.append(("Reads", _data_names(catalog, catalog.readable(name))))
    if group == "data":
        sections.append(("Read by", ", ".join(catalog.readers(name)) or "no model in this catalog"))
    if group == "task":
        models = [model for model in catalog.choices("model") if catalog.override("model", model, "task") == name]
        sections += [("The task of", ", ".join(models))] if models else []
    for path in reversed(catalog.files(group, name)):
        sections.append((str(path), path.read_text(encoding="utf-8").rstrip()))
    return sections


def _argument_lines(catalog: Catalog, group: str, name: str, node: dict[str, Any], found: "Signature | None") -> str:
    """Return one entry for each argument: name, type, the value in the YAML or the default, and the meaning."""
    from runner.config.signatures import describe_arguments

    parameters = found.parameters if found else {}
    meanings = describe_arguments(found.doc) if found else {}
    meanings |= {key: text for key, text in _key_comments(catalog.text(group, name)).items() if key not in meanings}
    lines = []
    for key in [*(key for key in node if not key.startswith("_")), *(key for key in parameters if key not in node)]:
        parameter = parameters.get(key)
        if key not in node and parameter is not None and parameter.required:
            continue  # the program fills it in
        kind = f": {parameter.annotation}" if parameter is not None and parameter.annotation else ""
        default = f"{parameter and parameter.default} (write +{group}.{key}=...)"
        value = f" = {show(node[key]) if key in node else default}"
        lines.append(f"{key}{kind}{value}")
        lines += [f"    {_first_sentence(meanings[key])}"] if key in meanings else []
    return "\n".join(lines)


def _key_comments(text: str) -> dict[str, str]:
    return {match[1]: match[2] for match in re.finditer(r"^(\w+):[^#\n]*\s#\s*(.*)$", text, re.M)}


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[^.]\w[.!?])\s(?=[A-Z`])", text, maxsplit=1)[0]
