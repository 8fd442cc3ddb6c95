"""The problems of a command, collected as sentences, and what those sentences need to know about the command."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from runner.config.catalog import KINDS, Catalog
from runner.config.safety import CLASSES, refusal
from runner.config.source import TargetError
from runner.config.wording import show
from runner.files.secrets import without_credentials

MOST_NAMES = 25  # that a message lists
MOST_KEYS = 20


@dataclass
class TypedOverride:
    """One override: the text as typed, parsed, and one plain override for each value of its sweep."""

    text: str
    parsed: Override
    values: list[Override]

    @property
    def key(self) -> str:
        return self.parsed.key_or_group


@dataclass
class Findings:
    """The problems of one command.

    Args:
        catalog: the choices there are.
        own_folders: folders that hold the user's own code.
        typed: the overrides that were parsed.
        problems: each once, in order.
    """

    catalog: Catalog
    own_folders: list[Path]
    typed: list[TypedOverride] = field(default_factory=list)
    problems: dict[str, None] = field(default_factory=dict)

    def report(self, problem: str) -> None:
        self.problems.setdefault(without_credentials(problem))

    @property
    def permitted(self) -> list[str]:
        """The packages that the command line allows."""
        return [str(name) for typed in self.typed if typed.key == "allow" for name in each_value(typed.values)]

    def check_safe(self, shown: str, target: str, classes: tuple[str, ...] = CLASSES) -> bool:
        """Return whether a configuration may name `target`, and report it if not."""
        try:
            problem = refusal(target, self.permitted, folders=self.own_folders, classes=classes)
        except TargetError as error:
            problem = str(error)
        if problem:
            self.report(f"{shown}: {problem}")
        return problem is None

    def allowed(self, group: str) -> str:
        """Return " Allowed: a, b." for the choices of a group, "" if there is no such group."""
        names = self.catalog.choices(group)
        if len(names) > MOST_NAMES and group in KINDS:
            return f" All {len(names)} choices: runner list {KINDS[group]}"
        return f" Allowed: {', '.join(names)}." if names else ""

    def shown(self, path: str, value: Any) -> str:
        """Return an override as it was typed, or KEY=VALUE where the value comes from a file."""
        for typed in reversed(self.typed):
            for override in typed.values:
                if override.key_or_group == path and not isinstance(value, dict) and override.value() == value:
                    return as_typed(override)
        return f"{path}={show(value)}"


def as_typed(override: Override) -> str:
    """Return an override as it was typed."""
    return override.input_line or ""


def list_keys(keys: list[str], owner: str) -> str:
    """Return the keys of a node such as model=textcnn as a sentence."""
    if len(keys) > MOST_KEYS:
        return f"All keys: runner show {owner.replace('=', '/')}"
    return f"Its keys: {', '.join(keys)}." if keys else "It has no keys."


def each_value(overrides: list[Override]) -> Iterator[Any]:
    """Yield the values that overrides give; lists are yielded item by item."""
    for override in overrides:
        value = override.value()
        yield from value if isinstance(value, list) else [value]
