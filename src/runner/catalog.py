"""What there is to choose from: the YAML files of `conf/` and of the user's folders, and which go together.

Only YAML is read here; no class that a file names is imported. A model M can read data D if every `${data.x}` in M
and in its task T is a key of D, and every `${task.x}` in M is a key of T; T is the task that M brings along, or else
the one that D brings along.
"""

import importlib.util
import io
import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from runner.errors import UserError, closest
from runner.signatures import Signature, describe_arguments, signature

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# what `runner list` prints, in this order: group -> its name in print
KINDS = {
    "model": "models",
    "data": "data",
    "task": "tasks",
    "optim": "optimizers",
    "schedule": "schedules",
    "augment": "augmentations",
    "trainer": "trainers",
    "experiment": "experiments",
}


def config_path() -> Path:
    """Return the folder of the packaged choices: inside the installed package, or beside `src` in a checkout."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def folders(extra_dirs: Iterable[str | Path] = ()) -> list[Path]:
    """Return the folders with choices in the order in which Hydra searches them; the first one wins."""
    found = [config_path()]
    if importlib.util.find_spec("hydra_plugins") is not None:  # installed packages may contribute folders
        from hydra._internal.utils import create_config_search_path

        entries = create_config_search_path(str(config_path())).get_path()
        paths = [as_folder(entry.path) for entry in entries if entry.provider not in ("hydra", "schema")]
        found = [path for path in paths if path is not None]
    return found + [Path(directory) for directory in extra_dirs]


def as_folder(path: str | None) -> Path | None:
    """Return the folder of an entry of Hydra's search path (`file://...` or `pkg://...`), or None if it has none."""
    scheme, _, rest = (path or "").rpartition("://")
    if scheme == "pkg" and rest:
        package, _, inner = rest.replace("/", ".").partition(".")
        spec = importlib.util.find_spec(package)
        for location in (spec and spec.submodule_search_locations) or []:
            return Path(location, *inner.split(".")) if inner else Path(location)
        return None
    return Path(rest) if scheme in ("", "file") and rest else None


class Catalog:
    """The choices of a list of folders.

    Args:
        folders: where to look; of two files with one name the first wins, as in Hydra.
    """

    def __init__(self, folders: Sequence[Path]):
        self.folders = list(folders)
        self._read: dict[tuple[str, str], dict[str, Any]] = {}

    @cached_property
    def groups(self) -> list[str]:
        """All groups, those of KINDS first."""
        found = {path.parent.name for folder in self.folders for path in folder.glob("*/*.yaml")}
        return [group for group in KINDS if group in found] + sorted(found - set(KINDS))

    def choices(self, group: str) -> list[str]:
        return sorted({path.stem for folder in self.folders for path in (folder / group).glob("*.yaml")})

    def path(self, group: str, name: str) -> Path:
        for folder in self.folders:
            if (path := folder / group / f"{name}.yaml").is_file():
                return path
        raise UserError(f"There is no {group}={name}.{closest(name, self.choices(group))}")

    def text(self, group: str, name: str) -> str:
        return self.path(group, name).read_text(encoding="utf-8")

    def read(self, group: str, name: str) -> dict[str, Any]:
        """Return the file as it stands; one file is read once."""
        if (group, name) not in self._read:
            path = self.path(group, name)
            try:
                content = yaml.load(path.read_bytes(), Loader) or {}
            except yaml.YAMLError as error:
                reason = str(error).replace('"<byte string>", ', "")
                raise UserError(f"{path}: {' '.join(reason.split())}") from error
            if not isinstance(content, dict):
                raise UserError(f"{path}: expected `key: value` lines, found a {type(content).__name__}.")
            self._read[group, name] = content
        return self._read[group, name]

    def node(self, group: str, name: str) -> dict[str, Any]:
        """Return the keys of a choice, those of the choices of its own group that it builds on included."""
        content = dict(self.read(group, name))
        merged: dict[str, Any] = {}
        for entry in content.pop("defaults", []):
            if isinstance(entry, str) and entry != "_self_" and entry in self.choices(group):
                merged |= self.node(group, entry)
        return merged | content

    def override(self, group: str, name: str, other: str) -> str | None:
        """Return the choice of the group `other` that a file brings along in its defaults list, or None."""
        for entry in self.read(group, name).get("defaults", []):
            for key, value in entry.items() if isinstance(entry, dict) else ():
                if re.fullmatch(rf"override\s+/?{other}(@.*)?", key):
                    return value
        return None

    def comments(self, group: str, name: str) -> list[str]:
        """Return the comment lines a file opens with, the `@package` line left out."""
        lines = []
        for line in self.text(group, name).splitlines():
            if not line.startswith("#"):
                break
            lines.append(line.lstrip("# ").rstrip())
        return [line for line in lines if line and not line.startswith("@package")]

    def summary(self, group: str, name: str) -> str:
        return next(iter(self.comments(group, name)), "")

    def example(self, group: str, name: str) -> str:
        lines = (line for line in self.comments(group, name) if line.startswith("runner "))
        return next(lines, f"runner {group}={name}")

    # Which model reads which data.

    def default(self, group: str) -> str | None:
        """Return what `config.yaml` picks for a group."""
        content = yaml.load((self.folders[0] / "config.yaml").read_bytes(), Loader)
        for entry in content.get("defaults", []):
            for key, value in entry.items() if isinstance(entry, dict) else ():
                if key.split("@")[0].split()[-1].strip("/") == group:
                    return value
        return None

    def task(self, model: str, data: str) -> str | None:
        """Return the task that a pair trains with when none is typed."""
        return self.override("model", model, "task") or self.override("data", data, "task") or self.default("task")

    def can_read(self, model: str, data: str) -> bool:
        """Say whether a model can read data (see the head of this file)."""
        task = self.task(model, data)
        task_node = self.node("task", task) if task else {}
        data_node, model_node = self.node("data", data), self.node("model", model)
        data_facts = needed(model_node, "data") | needed(task_node, "data")
        return data_facts <= set(data_node) and needed(model_node, "task") <= set(task_node)

    def readable(self, model: str) -> list[str]:
        """Return the data that a model can read; files that are no valid YAML are passed over."""
        return [data for data in self.choices("data") if self._can_read(model, data)]

    def readers(self, data: str) -> list[str]:
        """Return the models that can read data; files that are no valid YAML are passed over."""
        return [model for model in self.choices("model") if self._can_read(model, data)]

    def _can_read(self, model: str, data: str) -> bool:
        try:
            return self.can_read(model, data)
        except UserError:
            return False

    def needs_path(self, data: str) -> bool:
        """Say whether something must be typed along with this choice (a `???` value)."""
        return "???" in self.node("data", data).values()


def needed(node: Any, group: str) -> set[str]:
    """Return the keys x of all `${group.x}` in a node."""
    if isinstance(node, dict):
        return set().union(*(needed(value, group) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(needed(value, group) for value in node))
    return set(re.findall(rf"\$\{{{group}\.(\w+)", node)) if isinstance(node, str) else set()


def choices(group: str, extra_dirs: Iterable[str | Path] = ()) -> list[str]:
    """Return the names that may stand behind `group=`."""
    return Catalog(folders(extra_dirs)).choices(group)


def summary(group: str, name: str, extra_dirs: Iterable[str | Path] = ()) -> str:
    """Return the one line a choice's file opens with."""
    return Catalog(folders(extra_dirs)).summary(group, name)


def readable(model: str, extra_dirs: Iterable[str | Path] = ()) -> list[str]:
    """Return the data that a model can read."""
    return Catalog(folders(extra_dirs)).readable(model)


def readers(data: str, extra_dirs: Iterable[str | Path] = ()) -> list[str]:
    """Return the models that can read data."""
    return Catalog(folders(extra_dirs)).readers(data)


# --- runner list -------------------------------------------------------------------------------------------------


def list_text(what: str | None = None, extra_dirs: Iterable[str | Path] = (), format: str = "text") -> str:
    """Return what `runner list` prints: every choice with its line, and for a model the data it can read.

    Args:
        what: one kind ("models", "data", "optimizers", "callbacks" ...); None = all of KINDS.
        extra_dirs: folders of the user with more choices.
        format: "text", or "json" for {"models": {"textcnn": {"summary": ..., "data": [...]}}}.

    Raises:
        UserError: there is no such kind or format.
    """
    if format not in ("text", "json"):
        raise UserError(f"list: format={format} is not known.{closest(format, ('text', 'json'))} Allowed: text, json.")
    catalog = Catalog(folders(extra_dirs))
    found = {KINDS.get(group, group): _rows(catalog, group) for group in _wanted(catalog, what)}
    if format == "json":
        return json.dumps(found, indent=2, ensure_ascii=False)
    if sys.stdout.isatty():
        return _rich_list(catalog, found)
    blocks = []
    for kind, rows in found.items():
        width = max((len(name) for name in rows), default=0)
        lines = [_heading(kind)]
        for name, row in rows.items():
            lines.append(f"  {name:<{width}}  {row['summary']}")
            lines += [f"  {'':<{width}}  {extra}" for extra in _extras(catalog, kind, row)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _wanted(catalog: Catalog, what: str | None) -> list[str]:
    if what is None:
        return [group for group in KINDS if group in catalog.groups]
    names = {name: group for group in catalog.groups for name in (group, KINDS.get(group, group + "s"))}
    if what not in names:
        allowed = ", ".join(KINDS.get(group, group) for group in catalog.groups)
        raise UserError(f'list: there is no kind "{what}".{closest(what, names)} Allowed: {allowed}.')
    return [names[what]]


def _rows(catalog: Catalog, group: str) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for name in catalog.choices(group):
        rows[name] = {"summary": catalog.summary(group, name)}
        if group == "model":
            rows[name]["data"] = catalog.readable(name)
        if group == "data":
            rows[name]["models"] = catalog.readers(name)
    return rows


def _heading(kind: str) -> str:
    group = next((group for group, name in KINDS.items() if name == kind), kind)
    return f"{kind} ({group}=NAME)" if kind != "data" else "data (data=NAME)"


def _extras(catalog: Catalog, kind: str, row: dict[str, Any]) -> list[str]:
    return [f"reads: {_data_names(catalog, row['data'])}"] if kind == "models" else []


def _data_names(catalog: Catalog, names: list[str]) -> str:
    """Return "imdb, movie_reviews + your own table with data=csv"."""
    ready = [name for name in names if not catalog.needs_path(name)]
    own = [f"data={name}" for name in names if catalog.needs_path(name)]
    texts = ([", ".join(ready)] if ready else []) + ([f"your own table with {' or '.join(own)}"] if own else [])
    return " + ".join(texts) or "nothing in this catalog"


def _rich_list(catalog: Catalog, found: dict[str, dict[str, dict]]) -> str:
    from rich.table import Table
    from rich.text import Text

    console, out = _console()
    for kind, rows in found.items():
        table = Table(title=_heading(kind), title_justify="left", title_style="bold", box=None, show_header=False)
        table.add_column(no_wrap=True, style="cyan")
        table.add_column()
        for name, row in rows.items():
            text = Text(row["summary"])
            for extra in _extras(catalog, kind, row):
                text.append(f"\n{extra}", style="dim")
            table.add_row(name, text)
        console.print(table)
        console.print()
    return out.getvalue().rstrip()


def _console() -> tuple[Any, io.StringIO]:
    from rich.console import Console

    out = io.StringIO()
    width = max(60, min(shutil.get_terminal_size((100, 25)).columns, 120))
    return Console(file=out, force_terminal=True, width=width, highlight=False), out


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
    group, _, choice = name.replace("=", "/").rpartition("/")
    matches = [each for each in catalog.groups if group in ("", each) and choice in catalog.choices(each)]
    if not matches:
        names = sorted({each for group in catalog.groups for each in catalog.choices(group)})
        hint = f" See `runner list {name}`." if name in (*catalog.groups, *KINDS.values()) else " See `runner list`."
        raise UserError(f'show: there is nothing called "{name}".{closest(choice, names)}{hint}')
    pages = [_sections(catalog, each, choice) for each in matches]
    if sys.stdout.isatty():
        return _rich_pages(pages)
    texts = ["\n\n".join(f"{title}\n{_indent(body)}" for title, body in page) for page in pages]
    return "\n\n\n".join(texts)


def _sections(catalog: Catalog, group: str, name: str) -> list[tuple[str, str]]:
    """Return the (title, text) pairs of one choice."""
    node = catalog.node(group, name)
    target = node.get("_target_")
    found = signature(target) if isinstance(target, str) else None
    sections = [(f"{group}={name}", "\n".join(c for c in catalog.comments(group, name) if not c.startswith("runner ")))]
    sections.append(("Run it", catalog.example(group, name)))
    if found is not None:
        docs = [found.module_doc if found.target.startswith("runner.") else "", found.doc]
        docs = [re.split(r"^Args:", doc, maxsplit=1, flags=re.M)[0].strip() for doc in docs]
        where = f"{found.file}:{found.line}" if found.file else ""
        sections.append((target, "\n\n".join(filter(None, [*docs, where]))))
    elif isinstance(target, str):
        sections.append((target, "(not found)"))
    if arguments := _arguments(catalog, group, name, node, found):
        sections.append(("Arguments", arguments))
    if group == "model":
        sections.append(("Reads", _data_names(catalog, catalog.readable(name))))
    if group == "data":
        sections.append(("Read by", ", ".join(catalog.readers(name)) or "no model in this catalog"))
    if group == "task":
        models = [model for model in catalog.choices("model") if catalog.override("model", model, "task") == name]
        sections += [("The task of", ", ".join(models))] if models else []
    sections.append((str(catalog.path(group, name)), catalog.text(group, name).rstrip()))
    return sections


def _arguments(catalog: Catalog, group: str, name: str, node: dict[str, Any], found: Signature | None) -> str:
    """Return one entry for each argument: name, type, the value here or the default, and the meaning."""
    parameters = found.parameters if found else {}
    meanings = describe_arguments(found.doc) if found else {}
    meanings |= {key: text for key, text in _key_comments(catalog.text(group, name)).items() if key not in meanings}
    lines = []
    for key in [*(key for key in node if not key.startswith("_")), *(key for key in parameters if key not in node)]:
        parameter = parameters.get(key)
        if key not in node and parameter is not None and parameter.required:
            continue  # the program fills it in
        kind = f": {parameter.annotation}" if parameter is not None and parameter.annotation else ""
        value = f" = {_yaml(node[key])}" if key in node else f" = {parameter.default} (write +{group}.{key}=...)"
        lines.append(f"{key}{kind}{value}")
        lines += [f"    {_first_sentence(meanings[key])}"] if key in meanings else []
    return "\n".join(lines)


def _key_comments(text: str) -> dict[str, str]:
    return {match[1]: match[2] for match in re.finditer(r"^(\w+):[^#\n]*\s#\s*(.*)$", text, re.M)}


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[^.]\w[.!?])\s(?=[A-Z`])", text, maxsplit=1)[0]


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...").strip()


def _indent(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def _rich_pages(pages: list[list[tuple[str, str]]]) -> str:
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.text import Text

    console, out = _console()
    for page in pages:
        for title, body in page:
            console.print(Text(title, style="bold cyan" if title == page[0][0] else "bold"))
            if title == page[-1][0]:
                console.print(Padding(Syntax(body, "yaml", background_color="default"), (0, 2)))
            else:
                console.print(Padding(Text(body), (0, 2)))
            console.print()
    return out.getvalue().rstrip()
