"""What there is to choose from: the YAML files of `conf/` and of the user's folders, and which go together.

Only YAML is read here; no class that a file names is imported. A model M can read data D if every `${data.x}` in M
and in its task T is a key of D, and every `${task.x}` in M is a key of T; T is the task that M selects, or else the
one that D selects. D must have at least one of the facts that M reads as `${oc.select:data.x,null}`: this is how a
recurrent net reads texts (vocab_size) as well as signals (num_channels). What keys cannot say, words do: where M or T
says `takes: pairs`, D has to say `gives: pairs`. What D `asks: tags` for, it gives too, and M has to know of it: M, or
a task that M selects, says `takes: tags` (such data alone), or M says `reads: tags` (such data as well). A model that
says nothing of all this can read nothing.
"""

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from runner.config.nodes import walk
from runner.errors import UserError, closest

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# what `runner list` prints, in this order: group -> its name in print
KINDS = {
    "model": "models",
    "data": "data",
    "task": "tasks",
    "optim": "optimizers",
    "schedule": "schedules",
    "augment": "augmentations",
    "vectors": "word vectors",
    "trainer": "trainers",
    "experiment": "experiments",
}

RECORDED = ("model", "data", "task", "optim", "schedule", "experiment")  # groups whose choices a run has as tags
NOTES = ("gives", "asks", "takes", "reads")  # of data, model and task, for this file: no constructor gets them


def config_path() -> Path:
    """Return the folder of the packaged choices: inside the installed package, or next to `src` in a checkout."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "conf"


def folders(extra_dirs: Iterable[str | Path] = ()) -> list[Path]:
    """Return the folders with choices in the order in which Hydra searches them; the first one wins."""
    found = [config_path()]
    if plugins_add_folders():
        from runner.config.hydra_internals import search_folders  # importing Hydra takes longer than a page of help

        found = search_folders(config_path())
    return [*found, *map(Path, extra_dirs)]


def plugins_add_folders() -> bool:
    """Whether some plugin of Hydra's may contribute a folder of choices: only then need Hydra be asked."""
    plugins = importlib.util.find_spec("hydra_plugins")
    places = (plugins and plugins.submodule_search_locations) or []
    return any(b"search_path" in file.read_bytes() for place in places for file in Path(place).rglob("*.py*"))


class Catalog:
    """The choices of a list of folders.

    Args:
        folders: where to look; of two files with the same name the first wins, as in Hydra.
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

    def files(self, group: str, name: str) -> list[Path]:
        """Return the file of a choice, preceded by the files of its own group that it builds on."""
        return [*(path for base in self.bases(group, name) for path in self.files(group, base)), self.path(group, name)]

    def bases(self, group: str, name: str) -> list[str]:
        """Return the files of its own group that a file names in its defaults list."""
        named = [entry.split("@")[0] for entry in self.read(group, name).get("defaults", []) if isinstance(entry, str)]
        return [base for base in named if any((folder / group / f"{base}.yaml").is_file() for folder in self.folders)]

    def text(self, group: str, name: str) -> str:
        """Return the lines of a choice and of what it builds on."""
        return "\n".join(path.read_text(encoding="utf-8") for path in self.files(group, name))

    def read(self, group: str, name: str) -> dict[str, Any]:
        """Return the content of the file itself; each file is read only once."""
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
        """Return the keys of a choice, including those of the files of its own group that it builds on."""
        merged: dict[str, Any] = {}
        for base in self.bases(group, name):
            merged |= self.node(group, base)
        return merged | {key: value for key, value in self.read(group, name).items() if key != "defaults"}

    def override(self, group: str, name: str, other: str) -> str | None:
        """Return the choice of the group `other` that a file selects in its defaults list, or None."""
        return picked(self.read(group, name), rf"override\s+/?{other}(@.*)?")

    def comments(self, group: str, name: str) -> list[str]:
        """Return the comment lines at the top of a file, without the `@package` line."""
        lines = self.path(group, name).read_text(encoding="utf-8").splitlines()
        texts = [line.lstrip("# ").rstrip() for line in takewhile(lambda line: line.startswith("#"), lines)]
        return [text for text in texts if text and not text.startswith("@package")]

    def summary(self, group: str, name: str) -> str:
        return next(iter(self.comments(group, name)), "")

    def example(self, group: str, name: str) -> str:
        lines = (line for line in self.comments(group, name) if line.startswith("runner "))
        return next(lines, f"runner {group}={name}")

    def tiny(self, name: str) -> list[str]:
        """Return the overrides that make a model small, from the lines `# tiny: model.hidden_dim=16` of its files."""
        lines = re.findall(r"^# tiny:(.*)$", self.text("model", name), re.M)
        return [override for line in lines for override in line.split()]

    # Which model reads which data.

    def default(self, group: str) -> str | None:
        """Return what `config.yaml` picks for a group."""
        return picked(yaml.load((self.folders[0] / "config.yaml").read_bytes(), Loader), rf"/?{group}(@.*)?")

    def task(self, model: str, data: str) -> str | None:
        """Return the task that a model and data are trained with when none is typed."""
        return self.override("model", model, "task") or self.override("data", data, "task") or self.default("task")

    def owners(self, task: str) -> list[str]:
        """Return the models that select a task; files that are not valid YAML are skipped."""
        found = []
        for model in self.choices("model"):
            with suppress(UserError):
                if self.override("model", model, "task") == task:
                    found.append(model)
        return found

    def can_read(self, model: str, data: str) -> bool:
        """Return whether a model can read data (see the top of this file); False if a file is not valid YAML."""
        try:
            task = self.task(model, data)
            reader, source = self.node("model", model), self.node("data", data)
            objective = self.node("task", task) if task else {}
        except UserError:
            return False
        either = alternatives(reader)
        return (
            self.says_what_it_reads(model, task)
            and needed(reader, "data") | needed(objective, "data") <= set(source)
            and needed(reader, "task") <= set(objective)
            and noted(reader, "takes") | noted(objective, "takes") <= given(source)
            and noted(source, "asks") <= self.known(model, reader, objective)
            and (not either or bool(either & set(source)))
        )

    def says_what_it_reads(self, model: str, task: str | None) -> bool:
        """Return whether a model, or the task that it brings along, names a fact of the data or what it takes."""
        reader = self.node("model", model)
        own = task in self.choices("task") and self.override("model", model, "task") == task
        objective = self.node("task", task) if own and task else {}
        return bool(needed(reader, "data") | alternatives(reader) | noted(reader, "takes") | noted(objective, "takes"))

    def known(self, model: str, reader: dict[str, Any], objective: dict[str, Any]) -> set[str]:
        """Return the kinds of data that a model knows of, by itself or through the task that it selects."""
        selects = model in self.choices("model") and self.override("model", model, "task") is not None
        return noted(reader, "takes") | noted(reader, "reads") | (noted(objective, "takes") if selects else set())

    def readable(self, model: str) -> list[str]:
        """Return the data that a model can read."""
        return [data for data in self.choices("data") if self.can_read(model, data)]

    def readers(self, data: str) -> list[str]:
        """Return the models that can read data."""
        return [model for model in self.choices("model") if self.can_read(model, data)]

    def needs_path(self, data: str) -> bool:
        """Return whether this choice needs another setting to be typed (it has a `???` value)."""
        return "???" in self.node("data", data).values()


def picked(content: dict[str, Any], pattern: str) -> str | None:
    """Return what the defaults list of a file picks for the group whose key fits the pattern, or None."""
    for entry in content.get("defaults", []):
        for key, value in entry.items() if isinstance(entry, dict) else ():
            if re.fullmatch(pattern, key):
                return value
    return None


def needed(node: Any, group: str) -> set[str]:
    """Return the keys x of all `${group.x}` in a node."""
    return matches(node, rf"\$\{{{group}\.(\w+)")


def noted(node: Mapping[str, Any], key: str) -> set[str]:
    """Return the words of one of NOTES in a node: one word, or a list of them; one to be inferred is not known yet."""
    words = node.get(key) or []
    return {word for word in ([words] if isinstance(words, str) else words) if "${" not in str(word) and word != "???"}


def given(node: dict[str, Any]) -> set[str]:
    """Return the kinds of data that a data node gives: what it asks for is also given."""
    return noted(node, "gives") | noted(node, "asks")


def alternatives(node: Any) -> set[str]:
    """Return the keys x of all `${oc.select:data.x,null}` in a node: facts of which the data must have at least one."""
    return matches(node, r"\$\{oc\.select:\s*data\.(\w+)\s*,\s*null\s*\}")


def matches(node: Any, pattern: str) -> set[str]:
    """Return what the group in a pattern matches in all strings of a node."""
    return {found for _, value in walk(node) if isinstance(value, str) for found in re.findall(pattern, value)}


def choices(group: str, extra_dirs: Iterable[str | Path] = ()) -> list[str]:
    """Return the names that are allowed after `group=`."""
    return Catalog(folders(extra_dirs)).choices(group)
