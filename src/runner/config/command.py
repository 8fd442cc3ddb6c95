"""Everything that can be wrong with a command, found before torch is imported and reported all at once.

The command is composed as Hydra will compose it. An override that Hydra would reject is explained and left out while
the rest is composed, so that one message lists all mistakes. The composed nodes are then checked against the
signatures of the classes they name and against the rule about which model can read which data (see
`runner.config.catalog`).
"""

import copy
import itertools
import math
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from runner.config import launchers, optuna_names
from runner.config.bounds import MOST_RUNS
from runner.config.catalog import Catalog, config_path
from runner.config.findings import Findings, TypedOverride, as_typed, each_value, list_keys
from runner.config.hydra_internals import ERRORS, Composer, set_values
from runner.config.inferred import register_resolvers
from runner.config.inspection import DIRECTIVES, NEEDED, PLAIN, Inspection, supplied_at, takes
from runner.config.nodes import as_dict, walk
from runner.config.safety import HYDRA
from runner.config.signatures import signature
from runner.config.wording import one_line
from runner.errors import closest

CALLED = ("_target_", "()", "class")  # keys of Hydra's nodes, and of Python's logging, whose values are called
NARROWER = " Narrow it, or draw from it: sweep=random sweep.trials=100"
MAX_JOBS = 500  # of a multirun that are composed here; every single value of a sweep up to this many is seen


def check(overrides: list[str], config_dir: str | None = None, multirun: bool = False, runs: bool = True) -> list[str]:
    """Return all problems of a command as short texts; an empty list means that no problem was found.

    Args:
        overrides: what is typed after the verb, such as "model=textcnn"; those of `hydra.` are left to Hydra.
        config_dir: the folder of the user's own choices (`--config-dir`); None = none.
        multirun: whether values with commas are sweeps.
        runs: whether the composed run will be trained; False = it is only shown.
    """
    register_resolvers()
    if config_dir is not None and not Path(config_dir).is_dir():
        return [f"--config-dir {config_dir}: there is no such folder."]
    if missing := launchers.problem(overrides):
        return [missing]
    return Command(overrides, config_dir, multirun, runs).run()


class Command:
    """A command as typed: its overrides, each explained if Hydra would reject it, and what they compose."""

    def __init__(self, overrides: list[str], config_dir: str | None, multirun: bool, runs: bool):
        self.runs = runs
        self.composer = Composer(config_path(), config_dir, overrides)
        self.catalog = Catalog(self.composer.folders)
        own_folders = [Path(config_dir).resolve().parent] if config_dir is not None else []
        self.findings = Findings(self.catalog, own_folders)
        self.report, self.allowed = self.findings.report, self.findings.allowed
        self.multirun = multirun or "hydra.mode=MULTIRUN" in overrides
        sweepers = [text.partition("=")[2] for text in overrides if text.startswith("hydra/sweeper=")]
        self.other_sweeper = bool(sweepers) and sweepers[-1] != "runner"
        self.composed: dict[tuple, tuple[DictConfig, dict]] = {}
        self.explained: set[tuple[str, str]] = set()  # (key, problem) of overrides that Hydra rejects
        self.typed = self.findings.typed
        self.typed += [typed for text in overrides if (typed := self.parse(text)) is not None]

    def run(self) -> list[str]:
        self.check_sweep()
        choices = [typed for typed in self.typed if self.composer.is_choice(typed.parsed)]
        values = [typed for typed in self.typed if not self.composer.is_choice(typed.parsed)]
        for typed in choices:
            typed.values = [override for override in typed.values if self.choice_exists(override)]
        choices = [typed for typed in choices if typed.values]
        for picked, settings in itertools.islice(_jobs(choices, values), MAX_JOBS):
            self.job(picked, settings)
        return list(self.findings.problems)

    # Sweeps.

    def check_sweep(self) -> None:
        """Check the settings of a sweep, and treat what its space varies as if it had been typed."""
        settings = [typed for typed in self.typed if typed.key.split(".")[0] == "sweep"]
        if not self.multirun:
            for typed in settings:
                self.report(f"{typed.text}: a sweep needs --multirun (-m).")
            return
        if self.other_sweeper:
            return
        for typed in self.typed:
            if typed.key == "resume":
                self.report(f"{typed.text}: continues a single run; a sweep is continued by -m resume_sweep=NAME.")
            if typed in settings and typed.parsed.is_sweep_override():
                self.report(f"{typed.text}: a setting of the sweep itself takes a single value.")
        node = self.sweep_node(settings)
        known = {typed.key for typed in self.typed}
        space = node.get("space")
        for key, value in space.items() if isinstance(space, dict) else ():
            if key.lstrip("+") not in known and (varied_too := self.parse(f"{key}={value}")):
                self.typed.append(varied_too)
        varied = [typed for typed in self.typed if typed.parsed.is_sweep_override() and typed not in settings]
        count = math.prod(values_of(typed.parsed) for typed in varied)
        if node.get("method") == "grid" and count > MOST_RUNS:
            self.report(f"a sweep has at most {MOST_RUNS} runs, and this grid has {count}.{NARROWER}")
        if node.get("method") == "grid":
            for typed in varied:
                if typed.parsed.value_type == ValueType.INTERVAL_SWEEP:
                    self.report(f"{typed.text}: a grid needs single values; write sweep=random or sweep=optuna.")
        elif not varied and node.get("method") in ("random", "optuna"):
            self.report(f"sweep={node['method']}: there is nothing to vary; write optim.lr=interval(0.001,0.1).")
        if node.get("method") == "optuna":
            for problem in optuna_names.problems(node):
                self.report(problem)

    def sweep_node(self, settings: list[TypedOverride]) -> dict[str, Any]:
        """Return the settings of the sweep; {} where they cannot be composed, which is reported later."""
        choices = [
            typed
            for typed in self.typed
            if self.composer.is_choice(typed.parsed) and typed.key in ("sweep", "experiment")
        ]
        if any(not self.choice_exists(typed.values[0]) for typed in choices):
            return {}
        try:
            cfg = copy.deepcopy(self.compose(tuple(typed.values[0] for typed in choices))[0])
            rest = [typed.values[0] for typed in settings if typed not in choices]
            set_values(cfg, rest)
        except ERRORS:
            return {}
        return as_dict(cfg.sweep) if "sweep" in cfg else {}

    # Overrides.

    def parse(self, text: str) -> TypedOverride | None:
        """Return one override parsed, or None where it is left to Hydra or a problem has been reported."""
        try:
            parsed = self.composer.parse(text)
        except HydraException as error:
            self.report(f"{text}: {self.syntax_hint(text, error)}")
            return None
        if not parsed.key_or_group:
            self.report(f"{text}: not a valid override (there is no key before =).")
            return None
        if parsed.is_hydra_override():
            group, name = parsed.key_or_group, parsed.value()
            if self.composer.is_choice(parsed) and name is not None and not self.composer.exists(group, str(name)):
                options = self.composer.options(group)
                near = closest(str(name), options)
                self.report(f'{text}: there is no {group} called "{name}".{near} Allowed: {", ".join(options)}.')
            return None
        if not parsed.is_sweep_override():
            return TypedOverride(text, parsed, [parsed])
        if not self.multirun:
            self.report(_sweep_hint(parsed))
            return None
        if (count := values_of(parsed)) > MOST_RUNS:
            self.report(f"{text}: a sweep has at most {MOST_RUNS} runs, and this one has {count}.{NARROWER}")
            return None
        if parsed.value_type == ValueType.INTERVAL_SWEEP:
            interval = cast(IntervalSweep, parsed.value())
            ends = [str(interval.start), str(interval.end)]
        else:
            ends = list(itertools.islice(parsed.sweep_string_iterator(), MAX_JOBS))
        if not ends:
            self.report(f"{text}: this sweep holds no value.{self.allowed(parsed.key_or_group)}")
            return None
        return TypedOverride(text, parsed, [self.composer.parse(f"{parsed.get_key_element()}={end}") for end in ends])

    def syntax_hint(self, text: str, error: HydraException) -> str:
        if "=" not in text:
            groups = [group for group in self.catalog.groups if text in self.catalog.choices(group)]
            example = f"{groups[0]}={text}" if groups else "model=textcnn"
            return f"expected KEY=VALUE. {'Did you mean' if groups else 'For example:'} {example}"
        reason = str(error).splitlines()[0].rstrip(".")
        return f"not a valid override ({reason}). Quote values with special characters: '{text.split('=')[0]}=\"...\"'"

    def choice_exists(self, override: Override) -> bool:
        """Return whether a choice exists, and report why if it does not."""
        group, value, text = override.key_or_group, override.value(), as_typed(override)
        if override.is_delete():
            return True
        if value is None:
            hint = "" if group in NEEDED else f" Write ~{group} to leave it out."
            self.report(f"{text}: null is not a choice.{hint}{self.allowed(group)}")
            return False
        missing = [name for name in map(str, each_value([override])) if not self.composer.exists(group, name)]
        if missing:
            known = self.catalog.choices
            other = [each for each in self.catalog.groups if each != group and missing[0] in known(each)]
            near = f" Did you mean {other[0]}={missing[0]}?" if other else closest(missing[0], known(group))
            self.report(f'{text}: there is no {group} called "{missing[0]}".{near}{self.allowed(group)}')
            return False
        if override.is_force_add() or (override.is_add() and override.package is None and group in self.compose(())[1]):
            self.report(f"{text}: {group} always has a choice; write {group}={value} without +.")
            return False
        return True

    # Composition.

    def compose(self, picked: tuple[Override, ...]) -> tuple[DictConfig, dict[str, str | None]]:
        """Return (config, {group: choice}) as Hydra composes them for these choices, values not yet applied."""
        key = tuple(as_typed(override) for override in picked)
        if key not in self.composed:
            cfg, choices = self.composer.compose(picked)
            in_files = as_dict(cfg.pop("hydra", None) or DictConfig({}))  # not those that the command line names
            self.check_hydra(in_files)
            OmegaConf.set_struct(cfg, True)
            self.composed[key] = cfg, choices
        return self.composed[key]

    def check_hydra(self, in_files: dict[str, Any]) -> None:
        """Report what a file may not make Hydra do: build objects of others, set environment variables."""
        for path, value in walk(in_files, "hydra"):
            key = path.rpartition(".")[2]
            if path == "hydra.job.env_set" and value:
                self.report(f"{path} is set in a file; it only counts on the command line: type it there.")
            elif key in CALLED and value is not None:
                self.findings.check_safe(f"{path}={value}", str(value), HYDRA)
            elif isinstance(value, str) and value.startswith("ext://") and not value.startswith("ext://sys.std"):
                self.report(f"{path}={value}: a file may only name ext://sys.stdout or ext://sys.stderr.")

    def job(self, picked: tuple[Override, ...], settings: tuple[Override, ...]) -> None:
        """Check one job of the command."""
        cfg, choices = self.compose_without_culprits(picked)
        if cfg is None:
            return
        untouched, cfg = cfg, copy.deepcopy(cfg)
        applied: list[Override] = []
        for override in settings:
            try:
                set_values(cfg, [override])
            except ERRORS as error:
                cfg = copy.deepcopy(untouched)  # a rejected override may have changed something
                set_values(cfg, applied)
                problem = self.explain(override, cfg, choices, error)
                same = override.key_or_group, problem.replace(as_typed(override).partition("=")[2], "...")
                if same not in self.explained:  # once, not for each value of a sweep
                    self.explained.add(same)
                    self.report(f"{as_typed(override)}: {problem}")
            else:
                applied.append(override)
        for override in applied:
            self.check_added(override, untouched, cfg)
        if self.runs:
            Inspection(self.findings, cfg, choices).run()

    def compose_without_culprits(self, picked: tuple[Override, ...]) -> tuple[DictConfig | None, dict]:
        """Compose; report and leave out any choice that makes it fail."""
        try:
            return self.compose(picked)
        except ERRORS as error:
            for culprit in picked:
                rest = tuple(override for override in picked if override is not culprit)
                try:
                    found = self.compose(rest)
                except ERRORS:
                    continue
                self.report(f"{as_typed(culprit)}: {one_line(error)}")
                return found
            self.report(one_line(error))
            return None, {}

    def check_added(self, override: Override, before: DictConfig, after: DictConfig) -> None:
        """Report `+modle=textcnn` and the like: Hydra adds the key, but nothing ever reads it."""
        key = override.key_or_group
        if not (override.is_add() or override.is_force_add()) or key in PLAIN:
            return
        root = key.partition(".")[0]
        reading = re.compile(rf"\$\{{(?:oc\.\w+: *)?{re.escape(root)}\b")
        is_read = any(isinstance(value, str) and reading.search(value) for _, value in walk(as_dict(after)))
        if key.startswith("tracking.") or (root not in before and not is_read):
            near = get_close_matches(key, self.catalog.groups, n=1, cutoff=0.7)
            meant = near and override.value() in self.catalog.choices(near[0])
            hint = f" Did you mean {near[0]}={override.value()}?" if meant else closest(key, [*PLAIN, *before])
            self.report(f"{as_typed(override)}: nothing reads this key.{hint}")

    def explain(self, override: Override, cfg: DictConfig, choices: dict, error: Exception) -> str:
        """Explain why Hydra rejects an override and what to type instead."""
        path = override.key_or_group.split(".")
        node: Any = cfg
        for depth, part in enumerate(path):
            if not isinstance(node, DictConfig):
                return f"{'.'.join(path[:depth])} holds a single value and has no key {part}."
            if part not in node:
                return self.explain_unknown(override, node, path, depth, choices)
            node = node._get_node(part)
        if override.is_add():
            return f"this key is already there; write {as_typed(override).lstrip('+')} without +."
        return one_line(error)

    def explain_unknown(self, override: Override, node: DictConfig, path: list[str], depth: int, choices: dict) -> str:
        where, part, keys = ".".join(path[:depth]), path[depth], [str(key) for key in node if key not in DIRECTIVES]
        if not where:
            keys += [group for group in self.catalog.groups if group not in keys]
            homes = [key for key, child in as_dict(node).items() if isinstance(child, dict) and part in child]
            near = f" Did you mean {homes[0]}.{part}?" if homes else closest(part, keys)
            return f"there is no {part}.{near} Allowed: {', '.join(sorted(keys))}."
        owner = f"{where}={choices[where]}" if choices.get(where) else where
        found = signature(node.get("_target_"))
        if found and part in found.parameters and part not in supplied_at(where):
            value = as_typed(override).partition("=")[2]
            return f"{owner} does not list {part}, but {found.target} takes it: write +{where}.{part}={value}"
        known = keys + [key for key in takes(found, where) if key not in keys]
        return f"{owner} has no key {part}.{closest(part, known)} {list_keys(known, owner)}"


def values_of(override: Override) -> int:
    """Return how many values a sweep gives its key; an interval counts as one."""
    sweep = override.value()
    if isinstance(sweep, RangeSweep) and sweep.start is not None and sweep.stop is not None:
        return max(0, math.ceil((sweep.stop - sweep.start) / sweep.step))
    return len(sweep.list) if isinstance(sweep, ChoiceSweep) else 1


def _jobs(
    choices: list[TypedOverride], values: list[TypedOverride]
) -> Iterator[tuple[tuple[Override, ...], tuple[Override, ...]]]:
    """Yield (choices, values) of jobs that together cover every pair of choices, and every value with every pair."""
    longest = max((len(typed.values) for typed in values), default=1)
    for picked in itertools.product(*(typed.values for typed in choices)):
        for turn in range(longest):
            yield picked, tuple(typed.values[turn % len(typed.values)] for typed in values)


def _sweep_hint(override: Override) -> str:
    key, value = override.get_key_element(), override.get_value_string()
    if override.value_type != ValueType.SIMPLE_CHOICE_SWEEP:
        return f"{as_typed(override)}: a sweep needs --multirun (-m)."
    return f"{as_typed(override)}: for several runs add --multirun (-m); for a list write {key}=[{value}]"
