"""One composed configuration, held against the classes it names and the rule which model reads which data."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from runner.catalog import alternatives, needed
from runner.checks.kinds import Kind, fits, kinds, named, words
from runner.checks.phrases import joined, plain, show
from runner.checks.signatures import Parameter, Signature, TargetError, find
from runner.errors import UserError, closest

if TYPE_CHECKING:
    from runner.checks.check import Command

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
    "offline": "bool",
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
SAMPLES = {"int": "10", "float": "0.1", "bool": "true", "str": "text", "list": "[1, 2]", "none": "null"}
UNKNOWN = object()  # stands for a value that only the run itself can resolve


class Inspection:
    """One composed config against signatures, types and the rule which model reads which data."""

    def __init__(self, command: "Command", cfg: DictConfig, choices: dict[str, str | None]):
        self.command, self.cfg, self.choices = command, cfg, choices
        self.report, self.catalog = command.report, command.catalog
        self.raw: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False)
        self.missing = [path for path, value in leaves(self.raw) if value == "???"]
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
        from runner import sources
        from runner.tables.resolvers import register_resolvers, settle

        sources.go_offline(self.cfg)
        register_resolvers()
        is_local = "${infer_hub" not in str(node)
        if is_local and not any(path.startswith("data.") for path in self.missing):
            try:
                self.reasons = settle(self.cfg.data)
            except UserError as error:
                self.report(str(error))
            except OmegaConfBaseException as error:
                self.report(f"data: {plain(error)}")
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
        self.excused |= {f"task.{key}" for key, raw in nodes["task"].items() if self.excused & references(raw)}
        if model_lacks or task_lacks or model_lacks_of_task:
            self.report(self.pair_text(model_lacks, task_lacks, model_lacks_of_task))

    def lacking(self, reader: str, source: str) -> list[str]:
        """Return the keys that one node reads of another and that are not there, or null where null is of no use."""
        lacking = []
        found = signature_of(self.raw[reader].get("_target_"))
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
        either = sorted(alternatives(self.raw[reader])) if source == "data" else []
        if either and not set(either) & set(self.raw[source]):
            lacking.append(" or ".join(either))
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
        """Report a built-in task that a model cannot be trained with: not its own, or that of other models alone."""
        model, data, task = (self.choices.get(group) for group in ("model", "data", "task"))
        named = model in self.catalog.choices("model") and task in self.catalog.choices("task")
        if not named or not target_of(self.raw["task"]).startswith("runner."):
            return False
        own, owners = self.catalog.override("model", model, "task"), self.catalog.owners(task)
        brought = data in self.catalog.choices("data") and self.catalog.override("data", data, "task") == task
        if own == task or (own is None and (brought or not owners)):
            return False
        why = f"it has a task of its own, {own}" if own else f"that is the task of {', '.join(owners)}"
        remedy = "Leave task= out, or name a task class of your own."
        if not target_of(self.raw["model"]).startswith("runner."):
            remedy += f" Or say in conf/model/{model}.yaml whose task it is: override /task@_global_.task: {task}"
        self.report(f"model={model} cannot be trained with task={task}: {why}. {remedy}")
        return True

    def pair_text(self, model_lacks: list[str], task_lacks: list[str], model_lacks_of_task: list[str]) -> str:
        model, data, task = (self.choices.get(group) for group in ("model", "data", "task"))
        named = model in self.catalog.choices("model") and data in self.catalog.choices("data")
        usual = self.catalog.task(model, data) if named else task
        has_own = named and self.catalog.override("model", model, "task") is not None
        if task != usual:  # somebody typed the task
            facts = [*model_lacks, *task_lacks]
            why = f"data={data} has no {joined(facts)}" if facts else f"it gives no {joined(model_lacks_of_task)}"
            start = f"model={model} and data={data} do not go with task={task}: {why}."
            if self.catalog.can_read(model, data):
                return f"{start} Leave task= out: the task of this pair is {usual}."
        elif model_lacks or has_own:
            facts = list(dict.fromkeys([*model_lacks, *task_lacks]))
            lacks = f"it needs {joined(facts)}, which {data} does not have"
            start = f"{self.label('model')} cannot read {self.label('data')}: {lacks}."
        elif task_lacks:
            start = f"{self.label('data')} cannot be used with task={task}: it has no {joined(task_lacks)}."
        else:
            start = (
                f"{self.label('model')} cannot read {self.label('data')}: {data} comes with task={task}, "
                f"which has no {joined(model_lacks_of_task)}."
            )
        if not named:
            return start
        readers, readable = self.catalog.readers(data), self.catalog.readable(model)
        lacks_each = [key for lack in (*model_lacks, *task_lacks) for key in lack.split(" or ")]
        reasons = [self.reasons[key] for key in lacks_each if key in self.reasons]
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
        for cause in causes(error):
            if isinstance(cause, UserError):
                return str(cause)
        if isinstance(error, InterpolationToMissingValueError):
            return None
        absent = re.match(r"Interpolation key '([\w.]+)' not found", str(error))
        if absent is None:
            return None if self.missing else f"{path}={raw}: {plain(error)}"
        if absent[1] in self.excused or self.excused & references(raw):
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
            self.report(f"allow={show(value)} stands in a file; it counts on the command line only: type it there.")
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
        supplied = supplied_at(path)
        for key, value in node.items():
            where = f"{path}.{key}"
            if key in DIRECTIVES:
                continue
            if key in supplied:
                self.report(f"{self.shown(where, value)}: runner fills in {key} itself; leave it out.")
            elif key in found.parameters:
                if not (isinstance(raw, dict) and self.excused & references(raw[key])):
                    self.check_value(where, value, found.parameters[key])
            elif not found.open:
                keys = takes(found, path)
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
        if has_unknown(value) or fits(value, alternatives):
            for target in named(value, alternatives):
                self.command.check_safe(self.shown(path, value), target)
            return
        literals = [str(item) for kind in alternatives if kind.name == "literal" for item in kind.items]
        near = get_close_matches(str(value), literals, n=1)
        if near:
            sample = near[0]
        elif isinstance(value, (int, float)) and any(kind.name == "str" for kind in alternatives):
            sample = f"\"'{show(value)}'\""
        elif any(kind.name == "list" and fits([value], (kind,)) for kind in alternatives):
            sample = f"[{show(value)}]"
        elif isinstance(value, float) and value.is_integer() and fits(int(value), alternatives):
            sample = str(int(value))
        else:
            sample = self.sample(path, alternatives)
        shown = self.shown(path, value)
        hint = f"{' Did you mean' if near else ' For example:'} {shown.partition('=')[0]}={sample}" if sample else ""
        text = f'text "{value}"' if isinstance(value, str) else show(value)
        self.report(f"{shown}: expected {words(alternatives)}, received {text}.{hint}{'?' if near else ''}")

    def sample(self, path: str, alternatives: tuple[Kind, ...]) -> str:
        """Return a value that fits: that of the YAML, or the constructor's default, or any of the kind."""
        group, _, key = path.partition(".")
        name = self.choices.get(group)
        if name in self.catalog.choices(group):
            usual = self.catalog.node(group, name).get(key, UNKNOWN)
            if usual is not UNKNOWN and usual != "???" and "${" not in str(usual) and fits(usual, alternatives):
                return show(usual)
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
        return f"{path}={show(value)}"


def supplied_at(path: str) -> set[str]:
    """Return the arguments the program fills in for the node at `path`."""
    return set().union(*(names for pattern, names in SUPPLIED.items() if fnmatchcase(path, pattern)))


def takes(found: Signature | None, path: str) -> list[str]:
    """Return the arguments a user may give."""
    return [key for key in found.parameters if key not in supplied_at(path)] if found else []


def references(raw: Any) -> set[str]:
    """Return {"data.x", "task.y"} for the interpolations in a raw value."""
    return {f"{source}.{key}" for source in ("data", "task") for key in needed(raw, source)}


def target_of(node: dict[str, Any]) -> str:
    """Return the class a node names, or an empty text."""
    return str(node.get("_target_", ""))


def signature_of(target: Any) -> Signature | None:
    try:
        return find(target) if isinstance(target, str) else None
    except TargetError:
        return None


def has_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    return any(map(has_unknown, value)) if isinstance(value, list) else value is UNKNOWN


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, node


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
