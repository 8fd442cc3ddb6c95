"""`runner new` and `runner copy`: the files of a choice of one's own, in the current folder.

`new` writes the example of docs/add-a-model.md (or -dataset, -objective, -optimizer) under a name of one's own: the
pages travel with the package, so that what they show and what is written are the same. `copy` writes a choice of this
package.
"""

import keyword
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from runner.config.catalog import KINDS, Catalog, folders
from runner.errors import UserError, closest
from runner.verbs.listing import every_choice, groups_with
from runner.verbs.options import Typed, Verb

PAGES = {"model": "add-a-model", "data": "add-a-dataset", "task": "add-an-objective", "optim": "add-an-optimizer"}
FILE = r"^```\w+ (\S+)\n(.*?)^```"  # that a page shows: its name stands behind the language


@dataclass(kw_only=True)
class New(Verb):
    """Write a model, a dataset, an objective or an optimizer of your own, ready to run and to change.

    Args:
        names: model, data, task or optim, and how it is to be called.
    """

    names: Annotated[tuple[str, ...], Typed("model|data|task|optim NAME", form="words", candidates=lambda: PAGES)] = ()

    def __call__(self) -> int:
        if len(self.names) != 2 or self.names[0] not in PAGES:
            near = closest(self.names[0], PAGES) if self.names else ""
            raise UserError(
                f"type runner new {'|'.join(PAGES)} NAME; received {' '.join(self.names) or 'nothing'}.{near}"
            )
        group, name = self.names
        check_name(group, name)
        page = renamed_page(group, name)
        written = write(dict(re.findall(FILE, page, flags=re.DOTALL | re.MULTILINE)))
        print(f"{' and '.join(written)}: an example, ready to run. Next:")
        for command in re.findall(r"^(runner .*)$", page, flags=re.MULTILINE):
            print(f"  {command}")
        return 0


@dataclass(kw_only=True)
class Copy(Verb):
    """Copy a choice of this package, to change it: its YAML, and its code if that is of this package too.

    Args:
        names: the choice, such as textcnn or task/regression, and how the copy is to be called.
    """

    names: Annotated[tuple[str, ...], Typed("CHOICE NAME", form="words", candidates=every_choice)] = ()

    def __call__(self) -> int:
        if len(self.names) != 2:
            raise UserError(f"type runner copy textcnn mine; received {' '.join(self.names) or 'nothing'}")
        catalog = Catalog(folders())
        group, choice = found_choice(catalog, self.names[0])
        check_name(group, self.names[1])
        written = write(copied_files(catalog, group, choice, self.names[1]))
        print(f"{' and '.join(written)}: a copy of {group}={choice}. Next:")
        print(f"  runner --config-dir conf {group}={self.names[1]}")
        return 0


def pages() -> Path:
    """Return the folder of the pages: inside the installed package, or in a checkout."""
    packaged = Path(__file__).parents[1] / "pages"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "docs"


def renamed_page(group: str, name: str) -> str:
    """Return the page about a group, with another name for the choice, the class and the module that it shows."""
    page = (pages() / f"{PAGES[group]}.md").read_text(encoding="utf-8")
    choice = re.search(rf"^```yaml conf/{group}/(\w+)\.yaml$", page, flags=re.MULTILINE)
    target = re.search(r"^_target_: (\w+)\.(\w+)$", page, flags=re.MULTILINE)
    assert choice and target, "a page shows a YAML and the class that it names"
    names = {target[1]: name, target[2]: class_name(name), choice[1]: name}
    return re.sub(rf"\b({'|'.join(names)})\b", lambda match: names[match[1]], page)


def copied_files(catalog: Catalog, group: str, choice: str, name: str) -> dict[str, str]:
    """Return {path: content} of the YAML of a choice and of the module of its class."""
    from runner.config.signatures import signature

    content = catalog.path(group, choice).read_text(encoding="utf-8").replace(f"{group}={choice}", f"{group}={name}")
    content = re.sub(r"^# runner (?!--)", "# runner --config-dir conf ", content, flags=re.MULTILINE)
    target = str(catalog.node(group, choice).get("_target_", ""))
    found = signature(target) if target.startswith("runner.") else None
    if found is None or not found.file:
        return {f"conf/{group}/{name}.yaml": content}
    own = f"_target_: {name}.{target.rpartition('.')[2]}"
    if f"_target_: {target}" in content:
        content = content.replace(f"_target_: {target}", own)
    else:  # it stands in a file that this one builds on
        content = f"{content.rstrip()}\n{own}\n"
    return {f"{name}.py": Path(found.file).read_text(encoding="utf-8"), f"conf/{group}/{name}.yaml": content}


def found_choice(catalog: Catalog, named: str) -> tuple[str, str]:
    """Return group and choice of a name such as "textcnn" or "task/regression"."""
    found, choice = groups_with(catalog, named)
    matches = [each for each in found if each in KINDS] or found
    if len(matches) > 1:
        raise UserError(f"{choice} is in several groups; type {' or '.join(f'{each}/{choice}' for each in matches)}")
    return matches[0], choice


def check_name(group: str, name: str) -> None:
    """Refuse a name that is not one of a module, or that is taken."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} is the name of a file and a module: letters a to z, digits and _, such as my_net")
    if name in Catalog(folders()).choices(group):
        raise UserError(f"{group}={name} is there already: choose another name")
    if not Path(f"{name}.py").exists() and find_spec(name) is not None:
        raise UserError(
            f"{name} is the name of an installed package, which Python would find first: choose another name"
        )


def write(files: dict[str, str]) -> list[str]:
    """Write files that are not there yet, all or none; return their names."""
    if there := [path for path in files if Path(path).exists()]:
        raise UserError(f"{there[0]} is there already: choose another name, or delete it")
    for path, content in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content, encoding="utf-8")
    return list(files)


def class_name(name: str) -> str:
    """Return the name of a class, such as MyNet for my_net."""
    return "".join(word.capitalize() for word in name.split("_"))
