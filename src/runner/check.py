"""Everything that can be wrong with a command, found before torch is imported and reported all at once.

The command is composed as Hydra will compose it. An override that Hydra would refuse is explained, left out, and the
rest goes on being composed, so that one message holds all mistakes. The composed nodes are then held against the
signatures of the classes they name and against the rule which model can read which data (see `runner.catalog`).
"""

import copy
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
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
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from runner.catalog import Catalog, as_folder, config_path, needed
from runner.errors import UserError, closest
from runner.safety import refusal, targets
from runner.signatures import Kind, Parameter, Signature, TargetError, find, fits, kinds, named, words
from runner.sweep import optuna_names

HYDRA = ("hydra", "hydra_plugins")  # what Hydra's own nodes may name: sweepers, launchers
MAX_JOBS = 500  # of a multirun that are composed here; every single value of a sweep up to this many is seen

# What the program passes to a constructor itself.
SUPPLIED = {
    "task": {"net", "optimizer", "schedule"},
    "optim": {"params"},
    "task.optimizers.*": {"params"},
    "schedule": {"optimizer", "total_steps", "steps_per_epoch"},
    "trainer": {"logger", "callbacks", "plugins", "default_root_dir", "enable_progress_bar"}
    | {"enable_model_summary", "num_sanity_val_steps"},
}

# Keys that no constructor takes, and what they hold.
PLAIN = {
    "seed": "int",
    "resume": "str | None",
    "lr_find": "bool",
    "find_batch_size": "bool",
    "allow": "list[str] | str",
    "tracking.uri": "str | None",
    "tracking.experiment": "str",
    "tracking.name": "str | None",
    "tracking.system_metrics": "bool",
    "tracking.model": "bool",
    "sweep.method": "Literal['grid', 'random', 'optuna']",
    "sweep.metric": "str | list[str] | None",
    "sweep.direction": "Literal['min', 'max'] | list[Literal['min', 'max']] | None",
    "sweep.columns": "list[str] | None",
    "sweep.jobs": "int | Literal['auto']",
    "sweep.on_error": "Literal['continue', 'stop']",
    "sweep.name": "str",
    "sweep.resume": "bool",
    "sweep.trials": "int",
    "sweep.seed": "int",
    "sweep.storage": "str | None",
}

NEEDED = ("data", "model", "task", "optim", "schedule", "trainer", "callbacks", "tracking", "seed")
INSTANTIATED = ("data", "model", "task", "optim", "schedule", "trainer")
DIRECTIVES = {"_target_", "_args_", "_partial_", "_recursive_", "_convert_"}  # Hydra's own keys of a node
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, OSError)
SAMPLES = {"int": "10", "float": "0.1", "bool": "true", "str": "text", "list": "[1, 2]", "none": "null"}
UNKNOWN = object()  # stands for a value that only the run itself can resolve


def check(overrides: list[str], config_dir: str | None = None, multirun: bool = False) -> list[str]:
    """Return all problems of a command as short texts; an empty list means that nothing is known to be wrong.

    Args:
        overrides: what is typed after the verb, such as "model=textcnn"; those of `hydra.` are left to Hydra.
        config_dir: the folder of the user's own choices (`--config-dir`); None = none.
        multirun: whether values with commas are sweeps.
    """
    if config_dir is not None and not Path(config_dir).is_dir():
        return [f"--config-dir {config_dir}: there is no such folder."]
    setup_globals()
    return _Check(overrides, config_dir, multirun).run()


@dataclass
class _Typed:
    """One override: the text as typed, parsed, and one plain override for each value of its sweep."""

    text: str
    parsed: Override
    values: list[Override]

    @property
    def key(self) -> str:
        return self.parsed.key_or_group


class _Check:
    def __init__(self, overrides: list[str], config_dir: str | None, multirun: bool):
        self.found: dict[str, None] = {}  # the problems, each once, in order
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

    def sweep_node(self, settings: list[_Typed]) -> dict[str, Any]:
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

    def parse(self, text: str) -> _Typed | None:
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
            return _Typed(text, parsed, [parsed])
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
        return _Typed(text, parsed, [self.parse_plain(f"{parsed.get_key_element()}={end}") for end in ends])

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
        return f" Allowed: {', '.join(self.names(group))}." if self.repo.group_exists(group) else ""

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
        _Inspection(self, cfg, choices).run()

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
                self.report(f"{culprit.input_line}: {_plain(error)}")
                return found
            self.report(_plain(error))
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
        return _plain(error)

    def explain_unknown(self, override: Override, node: DictConfig, path: list[str], depth: int, choices: dict) -> str:
        where, part, keys = ".".join(path[:depth]), path[depth], [str(key) for key in node if key not in DIRECTIVES]
        if not where:
            keys += [group for group in self.catalog.groups if group not in keys]
            homes = [f"{key}.{part}" for key, child in node.items_ex(resolve=False) if _has(child, part)]
            near = f" Did you mean {homes[0]}?" if homes else closest(part, keys)
            return f"there is no {part}.{near} Allowed: {', '.join(sorted(keys))}."
        owner = f"{where}={choices[where]}" if choices.get(where) else where
        found = _signature(node.get("_target_"))
        if found and part in found.parameters and part not in _supplied(where):
            value = override.input_line.partition("=")[2]
            return f"{owner} does not list {part}, but {found.target} takes it: write +{where}.{part}={value}"
        known = keys + [key for key in _takes(found, where) if key not in keys]
        return f"{owner} has no key {part}.{closest(part, known)} {self.list_keys(known, owner)}"

    def list_keys(self, keys: list[str], owner: str) -> str:
        if len(keys) > 20:
            return f"All keys: runner show {owner.replace('=', '/')}"
        return f"Its keys: {', '.join(keys)}." if keys else "It has no keys."


class _Inspection:
    """One composed config against signatures, types and the rule which model reads which data."""

    def __init__(self, command: _Check, cfg: DictConfig, choices: dict[str, str | None]):
        self.command, self.cfg, self.choices = command, cfg, choices
        self.report, self.catalog = command.report, command.catalog
        self.raw: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False)
        self.missing = [path for path, value in _leaves(self.raw) if value == "???"]
        self.excused: set[str] = set()  # what an interpolation lacks that another sentence speaks of
        self.reasons: dict[str, str] = {}  # facts that a user's table does not have, each with the reason

    def settle(self) -> None:
        """Read what a user's table holds (`${infer:...}`); facts that it does not have leave the data node.

        What cannot be read yet (no path is typed, the dataset lies on a hub) becomes a value nobody knows.
        """
        node = self.raw.get("data")
        inferred = [key for key, raw in node.items() if "${infer" in str(raw)] if isinstance(node, dict) else []
        if not inferred:
            return
        from runner import tables

        tables.register()
        is_local = "${infer_hub" not in str(node)
        if is_local and not any(path.startswith("data.") for path in self.missing):
            try:
                self.reasons = tables.settle(self.cfg.data)
            except UserError as error:
                self.report(str(error))
            except OmegaConfBaseException as error:
                self.report(f"data: {_plain(error)}")
        settled = OmegaConf.to_container(self.cfg.data, resolve=False)
        for key in inferred:
            if "${infer" in str(settled.get(key)):
                self.cfg.data[key] = settled[key] = "???"
        self.raw["data"] = settled

    def run(self) -> None:
        self.settle()
        for key in NEEDED:
            if key not in self.raw:
                self.report(f"A run needs {key}, which ~ has taken out.{self.command.allowed(key)}")
        for path in self.missing:
            self.report(f"{path} must be typed{self.comment(path)}: write {path}=...")
        self.check_pair()
        for key, raw in self.raw.items():
            value = self.resolve(raw, self.cfg, key, key)
            self.check_node(key, raw, value)

    def comment(self, path: str) -> str:
        """Return " (meaning)" from the comment behind a key in its file."""
        group, _, key = path.partition(".")
        name = self.choices.get(group)
        if not name or name not in self.catalog.choices(group):
            return ""
        match = re.search(rf"^{re.escape(key)}:[^#\n]*#\s*(.*)$", self.catalog.text(group, name), re.M)
        return f" ({match[1]})" if match else ""

    # Which model reads which data.

    def check_pair(self) -> None:
        nodes = {group: self.raw.get(group) for group in ("model", "data", "task")}
        if not all(isinstance(node, dict) for node in nodes.values()):
            return
        if self.wrong_task():
            self.excused |= {f"task.{key}" for key in needed(nodes["model"], "task")}
            self.excused |= {f"data.{key}" for key in needed(nodes["task"], "data")}
            return
        model_lacks = self.lacking("model", "data")
        task_lacks = self.lacking("task", "data")
        model_lacks_of_task = self.lacking("model", "task")
        self.excused |= {f"data.{key}" for key in (*model_lacks, *task_lacks)}
        self.excused |= {f"task.{key}" for key in model_lacks_of_task}
        self.excused |= {f"task.{key}" for key, raw in nodes["task"].items() if self.excused & _references(raw)}
        if model_lacks or task_lacks or model_lacks_of_task:
            self.report(self.pair_text(model_lacks, task_lacks, model_lacks_of_task))

    def lacking(self, reader: str, source: str) -> list[str]:
        """Return the keys that one node reads of another and that are not there, or null where null is of no use."""
        lacking = []
        found = _signature(self.raw[reader].get("_target_"))
        for key in sorted(needed(self.raw[reader], source)):
            if key not in self.raw[source]:
                lacking.append(key)
                continue
            places = [name for name, raw in self.raw[reader].items() if raw == f"${{{source}.{key}}}"]
            for name in places:
                parameter = found.parameters.get(name) if found else None
                if parameter and self.value(source, key) is None and not fits(None, kinds(parameter)):
                    lacking.append(key)
                    break
        return lacking

    def value(self, group: str, key: str) -> Any:
        """Return a resolved value, or UNKNOWN; problems are reported when its own node is checked."""
        if "${hydra:" in str(self.raw[group][key]):
            return UNKNOWN
        try:
            return self.cfg[group][key]
        except OmegaConfBaseException:
            return UNKNOWN

    def wrong_task(self) -> bool:
        """Report a model with a task of its own under another built-in one."""
        model, task = self.choices.get("model"), self.choices.get("task")
        if model not in self.catalog.choices("model"):
            return False
        own = self.catalog.override("model", model, "task")
        if own in (None, task) or not str(self.raw["task"].get("_target_")).startswith("runner."):
            return False
        self.report(
            f"model={model} cannot be trained with task={task}: it has a task of its own, {own}. "
            f"Leave task= out, or name a task class of your own."
        )
        return True

    def pair_text(self, model_lacks: list[str], task_lacks: list[str], model_lacks_of_task: list[str]) -> str:
        model, data, task = (self.choices.get(group) for group in ("model", "data", "task"))
        named = model in self.catalog.choices("model") and data in self.catalog.choices("data")
        usual = self.catalog.task(model, data) if named else task
        has_own = named and self.catalog.override("model", model, "task") is not None
        if task != usual:  # somebody typed the task
            facts = [*model_lacks, *task_lacks]
            why = f"data={data} has no {_and(facts)}" if facts else f"it gives no {_and(model_lacks_of_task)}"
            start = f"model={model} and data={data} do not go with task={task}: {why}."
            if self.catalog.can_read(model, data):
                return f"{start} Leave task= out: the task of this pair is {usual}."
        elif model_lacks or has_own:
            facts = list(dict.fromkeys([*model_lacks, *task_lacks]))
            lacks = f"it needs {_and(facts)}, which {data} does not have"
            start = f"{self.label('model')} cannot read {self.label('data')}: {lacks}."
        elif task_lacks:
            start = f"{self.label('data')} cannot be used with task={task}: it has no {_and(task_lacks)}."
        else:
            start = (
                f"{self.label('model')} cannot read {self.label('data')}: {data} comes with task={task}, "
                f"which has no {_and(model_lacks_of_task)}."
            )
        if not named:
            return start
        readers, readable = self.catalog.readers(data), self.catalog.readable(model)
        reasons = [self.reasons[key] for key in (*model_lacks, *task_lacks) if key in self.reasons]
        if reasons:
            return " ".join([start, *dict.fromkeys(reasons)])
        return (
            f"{start} {data} can be read by: {', '.join(readers) or 'no model'}. "
            f"{model} can read: {', '.join(readable) or 'no data'}."
        )

    def label(self, group: str) -> str:
        """Return "model=textcnn", with a remark where nobody typed it."""
        name = self.choices.get(group)
        typed = {typed.key for typed in self.command.typed} & {group, "experiment"}
        return f"{group}={name}" + ("" if typed or name != self.catalog.default(group) else " (the default)")

    # Values.

    def resolve(self, raw: Any, parent: DictConfig | ListConfig, key: Any, path: str) -> Any:
        """Return a plain value with interpolations resolved, UNKNOWN where that cannot be known; report failures."""
        if isinstance(raw, dict):
            node = parent._get_node(key)
            return {name: self.resolve(value, node, name, f"{path}.{name}") for name, value in raw.items()}
        if isinstance(raw, list):
            node = parent._get_node(key)
            return [self.resolve(value, node, index, f"{path}[{index}]") for index, value in enumerate(raw)]
        if not isinstance(raw, str) or (raw != "???" and "${" not in raw):
            return raw
        if raw == "???" or "${hydra:" in raw:
            return UNKNOWN
        try:
            value = parent[key]
            return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        except Exception as error:  # a resolver is anybody's code
            if problem := self.explain_interpolation(raw, path, error):
                self.report(problem)
            return UNKNOWN

    def explain_interpolation(self, raw: str, path: str, error: Exception) -> str | None:
        """Say why an interpolation fails; None where another problem says it already."""
        for cause in _causes(error):
            if isinstance(cause, UserError):
                return str(cause)
        if isinstance(error, InterpolationToMissingValueError):
            return None
        absent = re.match(r"Interpolation key '([\w.]+)' not found", str(error))
        if absent is None:
            return None if self.missing else f"{path}={raw}: {_plain(error)}"
        if absent[1] in self.excused or self.excused & _references(raw):
            return None
        self.excused.add(absent[1])
        source, _, key = absent[1].rpartition(".")
        node = self.raw.get(source) if source else self.raw
        if not isinstance(node, dict):
            return f"{path}={raw}: there is no {absent[1]}."
        return f"{path}={raw}: {self.owner(source) or 'the config'} has no {key}.{closest(key, node)}"

    def owner(self, path: str) -> str:
        """Return "model=textcnn" for the node of a group, or the path itself."""
        return f"{path}={self.choices[path]}" if self.choices.get(path) else path

    def check_node(self, path: str, raw: Any, value: Any) -> None:
        """Check one value of the config and all that is in it."""
        if path == "seed" and isinstance(value, int) and not 0 <= value < 2**32:
            self.report(f"seed={value}: a seed lies between 0 and {2**32 - 1}.")
        if path == "allow" and value and not self.command.permitted:
            self.report(f"allow={_show(value)} stands in a file; it counts on the command line only: type it there.")
        if path in PLAIN:
            self.check_value(path, value, Parameter(path.split(".")[-1], PLAIN[path], None, "any"))
        is_callback = re.fullmatch(r"callbacks\.[^.\[\]]+", path) and value is not None
        if isinstance(value, dict) and "_target_" in value:
            self.check_target(path, raw, value)
        elif (path in INSTANTIATED or is_callback) and value is not UNKNOWN:
            self.report(f"{path} names no class: write {path}._target_=package.module.Class, with + if it is new.")
        if isinstance(value, dict):
            for key, inner in value.items():
                self.check_node(f"{path}.{key}", raw[key] if isinstance(raw, dict) else inner, inner)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self.check_node(f"{path}[{index}]", raw[index] if isinstance(raw, list) else inner, inner)

    def check_target(self, path: str, raw: Any, node: dict[str, Any]) -> None:
        """Check a node against the class or function it names."""
        target = node["_target_"]
        if target is UNKNOWN:
            return
        try:
            found = find(str(target))
        except TargetError as error:
            self.report(f"{self.shown(f'{path}._target_', target)}: {error}")
            return
        if not self.command.check_safe(self.shown(f"{path}._target_", target), str(target)):
            return
        supplied = _supplied(path)
        for key, value in node.items():
            where = f"{path}.{key}"
            if key in DIRECTIVES:
                continue
            if key in supplied:
                self.report(f"{self.shown(where, value)}: runner fills in {key} itself; leave it out.")
            elif key in found.parameters:
                if not (isinstance(raw, dict) and self.excused & _references(raw[key])):
                    self.check_value(where, value, found.parameters[key])
            elif not found.open:
                keys = _takes(found, path)
                listed = self.command.list_keys(keys, self.owner(path))
                self.report(f"{self.shown(where, value)}: {target} takes no {key}.{closest(key, keys)} {listed}")
        if node.get("_partial_") or node.get("_args_"):
            return
        for parameter in found.parameters.values():
            given = parameter.name in node or parameter.name in supplied
            if parameter.required and not given and parameter.kind != "positional":
                self.report(f"{path}: {target} needs {parameter.name}; write +{path}.{parameter.name}=...")

    def check_value(self, path: str, value: Any, parameter: Parameter) -> None:
        """Report a value that does not fit its annotation."""
        alternatives = kinds(parameter)
        if _has_unknown(value) or fits(value, alternatives):
            for target in named(value, alternatives):
                self.command.check_safe(self.shown(path, value), target)
            return
        literals = [str(item) for kind in alternatives if kind.name == "literal" for item in kind.items]
        near = get_close_matches(str(value), literals, n=1)
        if near:
            sample = near[0]
        elif isinstance(value, (int, float)) and any(kind.name == "str" for kind in alternatives):
            sample = f"\"'{_show(value)}'\""
        elif any(kind.name == "list" and fits([value], (kind,)) for kind in alternatives):
            sample = f"[{_show(value)}]"
        elif isinstance(value, float) and value.is_integer() and fits(int(value), alternatives):
            sample = str(int(value))
        else:
            sample = self.sample(path, alternatives)
        shown = self.shown(path, value)
        hint = f"{' Did you mean' if near else ' For example:'} {shown.partition('=')[0]}={sample}" if sample else ""
        text = f'text "{value}"' if isinstance(value, str) else _show(value)
        self.report(f"{shown}: expected {words(alternatives)}, received {text}.{hint}{'?' if near else ''}")

    def sample(self, path: str, alternatives: tuple[Kind, ...]) -> str:
        """Return a value that fits: that of the YAML, or the constructor's default, or any of the kind."""
        group, _, key = path.partition(".")
        name = self.choices.get(group)
        if name in self.catalog.choices(group):
            usual = self.catalog.node(group, name).get(key, UNKNOWN)
            if usual is not UNKNOWN and usual != "???" and "${" not in str(usual) and fits(usual, alternatives):
                return _show(usual)
        for kind in alternatives:
            if kind.name == "literal":
                return str(kind.items[0])
            if kind.name in SAMPLES:
                return SAMPLES[kind.name]
        return ""

    def shown(self, path: str, value: Any) -> str:
        """Return an override as it was typed, or KEY=VALUE where the value comes from a file."""
        for typed in reversed(self.command.typed):
            for override in typed.values:
                if override.key_or_group == path and not isinstance(value, dict) and override.value() == value:
                    return override.input_line
        return f"{path}={_show(value)}"


def _jobs(choices: list[_Typed], values: list[_Typed]) -> Iterator[tuple[tuple[Override, ...], tuple[Override, ...]]]:
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


def _supplied(path: str) -> set[str]:
    """Return the arguments the program fills in for the node at `path`."""
    return set().union(*(names for pattern, names in SUPPLIED.items() if fnmatchcase(path, pattern)))


def _takes(found: Signature | None, path: str) -> list[str]:
    """Return the arguments a user may give."""
    return [key for key in found.parameters if key not in _supplied(path)] if found else []


def _references(raw: Any) -> set[str]:
    """Return {"data.x", "task.y"} for the interpolations in a raw value."""
    return {f"{source}.{key}" for source in ("data", "task") for key in needed(raw, source)}


def _signature(target: Any) -> Signature | None:
    try:
        return find(target) if isinstance(target, str) else None
    except TargetError:
        return None


def _has(node: Any, key: str) -> bool:
    return isinstance(node, DictConfig) and not node._is_none() and not node._is_missing() and key in node


def _has_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_unknown, value.values()))
    return any(map(_has_unknown, value)) if isinstance(value, list) else value is UNKNOWN


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _leaves(value, f"{path}[{index}]")
    else:
        yield path, node


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _show(value: Any) -> str:
    """Return a value as it may be typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(_show, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_show(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def _plain(error: Exception) -> str:
    """Return an error of Hydra, OmegaConf or YAML as one line, without search paths and object dumps."""
    text = str(error).split("Config search path")[0].split("\n    full_key")[0]
    text = " ".join(line.strip() for line in text.splitlines() if line.strip())
    return text or type(error).__name__


def _and(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
