"""Everything that can be wrong with a command, found before torch is imported and reported all at once.

The command is composed as Hydra will compose it. An override that Hydra would refuse is explained, left out, and the
rest goes on being composed, so that one message holds all mistakes. The composed nodes are then held against the
signatures of the classes they name and against the rule which model can read which data (see `runner.config.catalog`).
"""

import copy
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import create_defaults_list
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config import launchers, optuna_names
from runner.config.catalog import KINDS, Catalog, as_folder, config_path
from runner.config.inspection import DIRECTIVES, NEEDED, PLAIN, Inspection, supplied_at, takes
from runner.config.safety import refusal, targets
from runner.config.signatures import signature
from runner.config.source import TargetError
from runner.config.wording import plain
from runner.errors import closest

HYDRA = ("hydra", "hydra_plugins")  # what Hydra's own nodes may name: sweepers, launchers
MOST_NAMES = 25  # that a message lists
MAX_JOBS = 500  # of a multirun that are composed here; every single value of a sweep up to this many is seen

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, OSError)


def check(overrides: list[str], config_dir: str | None = None, multirun: bool = False, runs: bool = True) -> list[str]:
    """Return all problems of a command as short texts; an empty list means that nothing is known to be wrong.

    Args:
        overrides: what is typed after the verb, such as "model=textcnn"; those of `hydra.` are left to Hydra.
        config_dir: the folder of the user's own choices (`--config-dir`); None = none.
        multirun: whether values with commas are sweeps.
        runs: whether what is composed has to train; False = it is only shown.
    """
    if config_dir is not None and not Path(config_dir).is_dir():
        return [f"--config-dir {config_dir}: there is no such folder."]
    setup_globals()
    if missing := launchers.problem(overrides):
        return [missing]
    return Command(overrides, config_dir, multirun, runs).run()


@dataclass
class Typed:
    """One override: the text as typed, parsed, and one plain override for each value of its sweep."""

    text: str
    parsed: Override
    values: list[Override]

    @property
    def key(self) -> str:
        return self.parsed.key_or_group


class Command:
    """A command as it is typed: its overrides, each explained where Hydra would refuse it, and what they compose."""

    def __init__(self, overrides: list[str], config_dir: str | None, multirun: bool, runs: bool):
        self.found: dict[str, None] = {}  # the problems, each once, in order
        self.runs = runs
        search_path = create_config_search_path(str(config_path()))
        if config_dir is not None:  # where Hydra puts it
            anchor = SearchPathQuery(provider="schema")
            search_path.prepend("command-line", f"file://{Path(config_dir).absolute()}", anchor)
        self.loader = ConfigLoaderImpl(search_path)
        self.parser = OverridesParser.create(config_loader=self.loader)
        hydra = [text for text in overrides if text.startswith("hydra.searchpath=")]
        _, self.repo = self.loader._parse_overrides_and_create_caching_repo("config", hydra)
        sources = [source for source in self.repo.get_sources() if source.provider not in ("hydra", "schema")]
        paths = [as_folder(f"{source.scheme()}://{source.path}") for source in sources]
        self.catalog = Catalog([path for path in paths if path is not None])
        self.multirun = multirun or "hydra.mode=MULTIRUN" in overrides
        sweepers = [text.partition("=")[2] for text in overrides if text.startswith("hydra/sweeper=")]
        self.other_sweeper = bool(sweepers) and sweepers[-1] != "runner"
        self.composed: dict[tuple, tuple[DictConfig, dict]] = {}
        self.explained: set[tuple[str, str]] = set()  # (key, problem) of overrides that Hydra refuses
        self.typed = [typed for text in overrides if (typed := self.parse(text)) is not None]
        self.permitted = [str(name) for typed in self.typed if typed.key == "allow" for name in _values(typed.values)]
        self.own_folders = [Path(config_dir).resolve().parent] if config_dir is not None else []

    def report(self, problem: str) -> None:
        self.found.setdefault(problem)

    def run(self) -> list[str]:
        self.check_sweep()
        choices = [typed for typed in self.typed if self.is_choice(typed.parsed)]
        values = [typed for typed in self.typed if not self.is_choice(typed.parsed)]
        for typed in choices:
            typed.values = [override for override in typed.values if self.choice_exists(override)]
        choices = [typed for typed in choices if typed.values]
        for picked, settings in itertools.islice(_jobs(choices, values), MAX_JOBS):
            self.job(picked, settings)
        return list(self.found)

    # Sweeps.

    def check_sweep(self) -> None:
        """Check the settings of a sweep, and take what its space varies for typed."""
        settings = [typed for typed in self.typed if typed.key.split(".")[0] == "sweep"]
        if not self.multirun:
            for typed in settings:
                self.report(f"{typed.text}: a sweep needs --multirun (-m).")
            return
        if self.other_sweeper:
            return
        for typed in self.typed:
            if typed.key == "resume":
                self.report(f"{typed.text}: goes on with a single run; a sweep goes on with -m resume_sweep=NAME.")
            if typed in settings and typed.parsed.is_sweep_override():
                self.report(f"{typed.text}: a sweep has one value of its own settings.")
        node = self.sweep_node(settings)
        known = {typed.key for typed in self.typed}
        space = node.get("space")
        for key, value in space.items() if isinstance(space, dict) else ():
            if key.lstrip("+") not in known and (typed := self.parse(f"{key}={value}")):
                self.typed.append(typed)
        varied = [typed for typed in self.typed if typed.parsed.is_sweep_override() and typed not in settings]
        if node.get("method") == "grid":
            for typed in varied:
                if typed.parsed.value_type == ValueType.INTERVAL_SWEEP:
                    self.report(f"{typed.text}: a grid needs single values; write sweep=random or sweep=optuna.")
        elif not varied and node.get("method") in ("random", "optuna"):
            self.report(f"sweep={node['method']}: there is nothing to vary; write optim.lr=interval(0.001,0.1).")
        if node.get("method") == "optuna":
            for problem in optuna_names.problems(node):
                self.report(problem)

    def sweep_node(self, settings: list[Typed]) -> dict[str, Any]:
        """Return the settings of the sweep; {} where they cannot be composed, which is reported later."""
        choices = [
            typed for typed in self.typed if self.is_choice(typed.parsed) and typed.key in ("sweep", "experiment")
        ]
        if any(not self.choice_exists(typed.values[0]) for typed in choices):
            return {}
        try:
            cfg = copy.deepcopy(self.compose(tuple(typed.values[0] for typed in choices))[0])
            rest = [typed.values[0] for typed in settings if typed not in choices]
            ConfigLoaderImpl._apply_overrides_to_config(rest, cfg)
        except COMPOSITION_ERRORS:
            return {}
        return OmegaConf.to_container(cfg.sweep, resolve=False) if "sweep" in cfg else {}

    # Overrides.

    def parse(self, text: str) -> Typed | None:
        """Return one override parsed, or None where Hydra is to judge it or a problem has been reported."""
        try:
            parsed = self.parse_plain(text)
        except HydraException as error:
            self.report(f"{text}: {self.syntax_hint(text, error)}")
            return None
        if not parsed.key_or_group:
            self.report(f"{text}: not a valid override (there is no key before =).")
            return None
        if parsed.is_hydra_override():
            return None
        if not parsed.is_sweep_override():
            return Typed(text, parsed, [parsed])
        if not self.multirun:
            self.report(_sweep_hint(parsed))
            return None
        if parsed.value_type == ValueType.INTERVAL_SWEEP:
            ends = [parsed.value().start, parsed.value().end]
        else:
            ends = list(itertools.islice(parsed.sweep_string_iterator(), MAX_JOBS))
        if not ends:
            self.report(f"{text}: this sweep holds no value.{self.allowed(parsed.key_or_group)}")
            return None
        return Typed(text, parsed, [self.parse_plain(f"{parsed.get_key_element()}={end}") for end in ends])

    def parse_plain(self, text: str) -> Override:
        return self.parser.parse_overrides([text])[0]

    def syntax_hint(self, text: str, error: HydraException) -> str:
        if "=" not in text:
            groups = [group for group in self.catalog.groups if text in self.catalog.choices(group)]
            example = f"{groups[0]}={text}" if groups else "model=textcnn"
            return f"expected KEY=VALUE. {'Did you mean' if groups else 'For example:'} {example}"
        reason = str(error).splitlines()[0].rstrip(".")
        return f"not a valid override ({reason}). Quote values with special signs: '{text.split('=')[0]}=\"...\"'"

    def is_choice(self, override: Override) -> bool:
        """Say whether an override picks from a group, as Hydra sees it."""
        return self.repo.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def names(self, group: str) -> list[str]:
        return self.repo.get_group_options(group, ObjectType.CONFIG)

    def allowed(self, group: str) -> str:
        if not self.repo.group_exists(group):
            return ""
        names = self.names(group)
        if len(names) > MOST_NAMES and group in KINDS:
            return f" All {len(names)} choices: runner list {KINDS[group]}"
        return f" Allowed: {', '.join(names)}."

    def choice_exists(self, override: Override) -> bool:
        """Say whether a choice can be made, and report why not."""
        group, value, text = override.key_or_group, override.value(), override.input_line
        if override.is_delete():
            return True
        names = value if isinstance(value, list) else [value]
        missing = [name for name in names if name is None or not self.repo.config_exists(f"{group}/{name}")]
        if missing:
            if value is None:
                hint = "" if group in NEEDED else f" Write ~{group} to leave it out."
                self.report(f"{text}: null is no choice.{hint}{self.allowed(group)}")
                return False
            other = [each for each in self.catalog.groups if each != group and missing[0] in self.names(each)]
            near = f" Did you mean {other[0]}={missing[0]}?" if other else closest(missing[0], self.names(group))
            self.report(f'{text}: there is no {group} called "{missing[0]}".{near}{self.allowed(group)}')
            return False
        if override.is_force_add() or (override.is_add() and override.package is None and group in self.picked()):
            self.report(f"{text}: {group} always has a choice; write {group}={value} without +.")
            return False
        return True

    def picked(self) -> dict[str, str | None]:
        """Return {group: choice} of a command without overrides."""
        return self.compose(())[1]

    # Composition.

    def compose(self, picked: tuple[Override, ...]) -> tuple[DictConfig, dict[str, str | None]]:
        """Return (config, {group: choice}) as Hydra composes them for these choices, values not yet applied."""
        key = tuple(override.input_line for override in picked)
        if key not in self.composed:
            self.composed[key] = self._compose(picked)
        return self.composed[key]

    def _compose(self, picked: tuple[Override, ...]) -> tuple[DictConfig, dict[str, str | None]]:
        """Compose once, without the files of Hydra itself, which take most of the time."""
        defaults = create_defaults_list(self.repo, "config", list(picked), prepend_hydra=True, skip_missing=False)
        files = [file for file in defaults.defaults if not self.is_of_hydra(str(file.config_path))]
        cfg = self.loader._compose_config_from_defaults_list(files, self.repo)
        hydra = cfg.pop("hydra", None)
        if hydra is not None:  # what the files, not the command line, make Hydra itself run
            for path, target in targets(OmegaConf.to_container(hydra), "hydra"):
                self.check_safe(f"{path}._target_={target}", str(target), HYDRA)
        OmegaConf.set_struct(cfg, True)
        return cfg, defaults.overrides.known_choices

    def is_of_hydra(self, path: str) -> bool:
        """Say whether a file of the groups hydra/... comes with Hydra or a plugin, not from a folder of choices."""
        own = (source for source in self.repo.get_sources() if source.provider not in ("hydra", "schema"))
        return path.startswith("hydra/") and not any(source.is_config(path) for source in own)

    def job(self, picked: tuple[Override, ...], settings: tuple[Override, ...]) -> None:
        """Check one job of the command."""
        cfg, choices = self.compose_without_culprits(picked)
        if cfg is None:
            return
        untouched, cfg, applied = cfg, copy.deepcopy(cfg), []
        for override in settings:
            try:
                ConfigLoaderImpl._apply_overrides_to_config([override], cfg)
            except COMPOSITION_ERRORS as error:
                cfg = copy.deepcopy(untouched)  # a refused override may have left its traces
                ConfigLoaderImpl._apply_overrides_to_config(applied, cfg)
                problem = self.explain(override, cfg, choices, error)
                same = override.key_or_group, problem.replace(override.input_line.partition("=")[2], "...")
                if same not in self.explained:  # once, not for each value of a sweep
                    self.explained.add(same)
                    self.report(f"{override.input_line}: {problem}")
            else:
                applied.append(override)
                self.check_added(override)
        if self.runs:
            Inspection(self, cfg, choices).run()

    def compose_without_culprits(self, picked: tuple[Override, ...]) -> tuple[DictConfig | None, dict]:
        """Compose; choices that make it fail are reported and left out."""
        try:
            return self.compose(picked)
        except COMPOSITION_ERRORS as error:
            for culprit in picked:
                rest = tuple(override for override in picked if override is not culprit)
                try:
                    found = self.compose(rest)
                except COMPOSITION_ERRORS:
                    continue
                self.report(f"{culprit.input_line}: {plain(error)}")
                return found
            self.report(plain(error))
            return None, {}

    def check_safe(self, shown: str, target: str, names: Iterable[str] = ()) -> bool:
        """Say whether a configuration may name `target`, and report it if not."""
        try:
            problem = refusal(target, (*self.permitted, *names), folders=self.own_folders)
        except TargetError as error:
            problem = str(error)
        if problem:
            self.report(f"{shown}: {problem}")
        return problem is None

    def check_added(self, override: Override) -> None:
        """Report `+modle=textcnn` and the like: Hydra appends the key and nothing ever reads it."""
        key = override.key_or_group
        if override.is_add() and key.startswith("tracking.") and key not in PLAIN:
            self.report(f"{override.input_line}: nothing reads this key.{closest(key, PLAIN)}")
        near = get_close_matches(override.key_or_group, self.catalog.groups, n=1, cutoff=0.7)
        if override.is_add() and near and override.value() in self.names(near[0]):
            self.report(f"{override.input_line}: nothing reads this key. Did you mean {near[0]}={override.value()}?")

    def explain(self, override: Override, cfg: DictConfig, choices: dict, error: Exception) -> str:
        """Say why Hydra refuses an override and what to type."""
        path = override.key_or_group.split(".")
        node: Any = cfg
        for depth, part in enumerate(path):
            if not isinstance(node, DictConfig):
                return f"{'.'.join(path[:depth])} holds a single value and has no key {part}."
            if part not in node:
                return self.explain_unknown(override, node, path, depth, choices)
            node = node._get_node(part)
        if override.is_add():
            return f"this key is already there; write {override.input_line.lstrip('+')} without +."
        return plain(error)

    def explain_unknown(self, override: Override, node: DictConfig, path: list[str], depth: int, choices: dict) -> str:
        where, part, keys = ".".join(path[:depth]), path[depth], [str(key) for key in node if key not in DIRECTIVES]
        if not where:
            keys += [group for group in self.catalog.groups if group not in keys]
            homes = [f"{key}.{part}" for key, child in node.items_ex(resolve=False) if _has(child, part)]
            near = f" Did you mean {homes[0]}?" if homes else closest(part, keys)
            return f"there is no {part}.{near} Allowed: {', '.join(sorted(keys))}."
        owner = f"{where}={choices[where]}" if choices.get(where) else where
        found = signature(node.get("_target_"))
        if found and part in found.parameters and part not in supplied_at(where):
            value = override.input_line.partition("=")[2]
            return f"{owner} does not list {part}, but {found.target} takes it: write +{where}.{part}={value}"
        known = keys + [key for key in takes(found, where) if key not in keys]
        return f"{owner} has no key {part}.{closest(part, known)} {self.list_keys(known, owner)}"

    def list_keys(self, keys: list[str], owner: str) -> str:
        if len(keys) > 20:
            return f"All keys: runner show {owner.replace('=', '/')}"
        return f"Its keys: {', '.join(keys)}." if keys else "It has no keys."


def _jobs(choices: list[Typed], values: list[Typed]) -> Iterator[tuple[tuple[Override, ...], tuple[Override, ...]]]:
    """Yield (choices, values) of jobs that together show every pair of choices, and every value with every pair."""
    longest = max((len(typed.values) for typed in values), default=1)
    for picked in itertools.product(*(typed.values for typed in choices)):
        for turn in range(longest):
            yield picked, tuple(typed.values[turn % len(typed.values)] for typed in values)


def _sweep_hint(override: Override) -> str:
    key, value = override.get_key_element(), override.get_value_string()
    if override.value_type != ValueType.SIMPLE_CHOICE_SWEEP:
        return f"{override.input_line}: a sweep needs --multirun (-m)."
    return f"{override.input_line}: for several runs add --multirun (-m); for a list write {key}=[{value}]"


def _values(overrides: list[Override]) -> Iterator[Any]:
    """Yield the values that overrides give, those of lists one by one."""
    for override in overrides:
        value = override.value()
        yield from value if isinstance(value, list) else [value]


def _has(node: Any, key: str) -> bool:
    return isinstance(node, DictConfig) and not node._is_none() and not node._is_missing() and key in node
