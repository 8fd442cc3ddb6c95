"""One composed configuration, checked against the classes it names."""

import re
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from runner.config.annotations import Kind, fits, kinds_of, named, words
from runner.config.bounds import outside, stated
from runner.config.combinations import clashes
from runner.config.findings import Findings, list_keys
from runner.config.nodes import absent_variable, as_dict, walk
from runner.config.pairing import Pair, references
from runner.config.signatures import Parameter, Signature, describe_arguments, find
from runner.config.source import TargetError
from runner.config.wording import one_line, show
from runner.errors import UserError, closest, user_error
from runner.files import secrets

# Arguments that the program itself passes to a constructor.
SUPPLIED = {
    "task": {"net"},
    "optim": {"params"},
    "task.optimizers.*": {"params"},
    "schedule": {"optimizer", "total_steps", "steps_per_epoch"},
    "task.metrics.*": {"task", "num_classes", "num_outputs"},
    "trainer": {"logger", "callbacks", "plugins", "default_root_dir", "enable_progress_bar"}
    | {"enable_model_summary", "num_sanity_val_steps", "enable_checkpointing"},
}

# Keys that no constructor takes, or about which Lightning's says less than it checks, and their types.
PLAIN = {
    "trainer.accelerator": "Literal['auto', 'cpu', 'gpu', 'cuda', 'mps', 'tpu']",
    "trainer.devices": "int | list[int] | Literal['auto']",
    "trainer.strategy": "Literal['auto', 'ddp', 'ddp_find_unused_parameters_true', 'fsdp', 'deepspeed',"
    " 'deepspeed_stage_1', 'deepspeed_stage_2', 'deepspeed_stage_3']",
    "trainer.gradient_clip_algorithm": "Literal['norm', 'value'] | None",
    "seed": "int",
    "resume": "str | None",
    "init_from": "str | None",
    "freeze": "list[str]",
    "unfreeze": "dict[str, int] | None",
    "lr_find": "bool",
    "find_batch_size": "bool",
    "allow": "list[str] | str",
    "offline": "bool",
    "data.gives": "str | list[str] | None",
    "data.asks": "str | list[str] | None",
    "model.takes": "str | list[str] | None",
    "model.reads": "str | list[str] | None",
    "task.takes": "str | list[str] | None",
    "task.monitor": "str | None",
    "task.mode": "Literal['min', 'max']",
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
UNKNOWN = object()  # a value that only the run itself can resolve


class Inspection:
    """Checks one composed config against signatures and types, and whether its model can read its data."""

    def __init__(self, findings: Findings, cfg: DictConfig, choices: dict[str, str | None]):
        self.findings, self.cfg, self.choices = findings, cfg, choices
        self.report, self.catalog = findings.report, findings.catalog
        self.raw: dict[str, Any] = as_dict(cfg)
        self.missing = [path for path, value in walk(self.raw) if value == "???"]
        self.excused: set[str] = set()  # what an interpolation lacks that another problem already mentions
        self.reasons: dict[str, str] = {}  # facts that a user's table does not have, each with the reason
        texts = [(path, value) for path, value in walk(self.raw) if isinstance(value, str)]
        self.from_environment = {path: text for path, text in texts if "${oc.env:" in text}

    def shown(self, path: str, value: Any) -> str:
        """Return a setting as it was typed; what it reads from the environment may be a secret."""
        raw = self.from_environment.get(path)
        return f"{path}={raw}" if raw else self.findings.shown(path, value)

    def settle(self) -> None:
        """Read the facts of a user's table (`${infer:...}`); those it does not have are removed from the data node.

        What cannot be read yet (no path is typed, the dataset is on a hub) becomes an unknown value.
        """
        node = self.raw.get("data")
        inferred = [key for key, raw in node.items() if "${infer" in str(raw)] if isinstance(node, dict) else []
        if not inferred:
            return
        from runner.config.inferred import settle
        from runner.files import sources

        sources.go_offline(self.cfg)
        is_local = "${infer_hub" not in str(node)
        if is_local and not any(path.startswith("data.") for path in self.missing):
            try:
                self.reasons = settle(self.cfg.data)
            except UserError as error:
                self.report(str(error))
            except OmegaConfBaseException as error:
                if not absent_variable(error):  # the setting that reads it is reported
                    self.report(f"data: {one_line(error)}")
        settled = as_dict(self.cfg.data)
        for key in inferred:
            if "${infer" in str(settled.get(key)):
                self.cfg.data[key] = settled[key] = "???"
        self.raw["data"] = settled

    def run(self) -> None:
        held = [(path, value) for path, value in walk(self.raw) if isinstance(value, str) and secrets.in_address(value)]
        for path, value in held:
            self.report(self.holds_a_secret(path, value))
        if held:
            return  # before anything is fetched with it
        self.settle()
        for key in NEEDED:
            if key not in self.raw:
                self.report(f"A run needs {key}, which ~ has removed.{self.findings.allowed(key)}")
        for path in self.missing:
            self.report(f"{path} must be typed{self.comment(path)}: write {path}=...")
        self.excused |= Pair(self.findings, self.cfg, self.raw, self.choices, self.reasons).check()
        for key, raw in self.raw.items():
            for path, value in walk(self.resolve(raw, self.cfg, key, key), key):
                self.check_node(path, value)
        for problem in clashes(self.raw):
            self.report(problem)

    def holds_a_secret(self, path: str, value: str) -> str:
        """Explain where a password belongs: the value of a setting is written into the record of the run."""
        start = f"{path}={secrets.without_credentials(value)} holds a user name, a password or a token"
        if path == "tracking.uri":
            return f"{start}: leave them out, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        return f"{start}, and settings are recorded: export ADDRESS='...' and write {path}='${{oc.env:ADDRESS}}'."

    def comment(self, path: str) -> str:
        """Return " (meaning)" from the comment after a key in its file."""
        group, _, key = path.partition(".")
        name = self.choices.get(group)
        if not name or name not in self.catalog.choices(group):
            return ""
        match = re.search(rf"^{re.escape(key)}:[^#\n]*#\s*(.*)$", self.catalog.text(group, name), re.M)
        return f" ({match[1]})" if match else ""

    def resolve(self, raw: Any, parent: DictConfig | ListConfig, key: Any, path: str) -> Any:
        """Return a plain value with interpolations resolved, UNKNOWN where they cannot be; report failures."""
        node: Any = parent._get_node(key) if isinstance(raw, dict | list) else None
        if isinstance(raw, dict):
            return {name: self.resolve(value, node, name, f"{path}.{name}") for name, value in raw.items()}
        if isinstance(raw, list):
            return [self.resolve(value, node, index, f"{path}[{index}]") for index, value in enumerate(raw)]
        if not isinstance(raw, str) or (raw != "???" and "${" not in raw):
            return raw
        if raw == "???" or "${hydra:" in raw or self.excused & references(raw):
            return UNKNOWN
        try:
            value = parent[key]
            return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        except Exception as error:  # a resolver may run any code
            if problem := self.explain_interpolation(raw, path, error):
                self.report(problem)
            return UNKNOWN

    def explain_interpolation(self, raw: str, path: str, error: Exception) -> str | None:
        """Explain why an interpolation fails; None where another problem already says so."""
        if (cause := user_error(error)) is not None:
            return str(cause)
        if problem := absent_variable(error):
            return f"{path}={raw}: {problem}"
        if isinstance(error, InterpolationToMissingValueError):
            return None
        absent = re.match(r"Interpolation key '([\w.]+)' not found", str(error))
        if absent is None:
            return None if self.missing else f"{path}={raw}: {one_line(error)}"
        if absent[1] in self.excused:
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

    def check_node(self, path: str, value: Any) -> None:
        """Check one value of the config, but not what is in it."""
        if path == "allow" and value and not self.findings.permitted:
            self.report(f"allow={show(value)} is set in a file; it only counts on the command line: type it there.")
        if path == "trainer.devices" and not are_devices(value):
            self.report(f"{self.shown(path, value)}: expected how many, at least 1, or which, such as [0,1].")
        if path in PLAIN:
            self.check_value(path, value, Parameter(path.split(".")[-1], PLAIN[path], None, "any"), stated("", path))
        is_callback = re.fullmatch(r"callbacks\.[^.\[\]]+", path) and value is not None
        if isinstance(value, dict) and "_target_" in value:
            self.check_target(path, value)
        elif (path in INSTANTIATED or is_callback) and value is not UNKNOWN:
            self.report(f"{path} names no class: write {path}._target_=package.module.Class, with + if it is new.")

    def check_target(self, path: str, node: dict[str, Any]) -> None:
        """Check a node against the class or function it names."""
        target = node["_target_"]
        if target is UNKNOWN:
            return
        try:
            found = find(str(target))
        except TargetError as error:
            self.report(f"{self.shown(f'{path}._target_', target)}: {error}")
            return
        if not self.findings.check_safe(self.shown(f"{path}._target_", target), str(target)):
            return
        supplied, meanings = supplied_at(path), describe_arguments(found.doc)
        for key, value in node.items():
            where = f"{path}.{key}"
            if key in DIRECTIVES or where in PLAIN:
                continue
            shown = where if value is UNKNOWN else self.shown(where, value)
            if key in supplied:
                self.report(f"{shown}: runner sets {key} itself; leave it out.")
            elif key in found.parameters:
                self.check_value(where, value, found.parameters[key], stated(str(target), key, meanings.get(key, "")))
            elif not found.open:
                keys = takes(found, path)
                listed = list_keys(keys, self.owner(path))
                self.report(f"{shown}: {target} takes no {key}.{closest(key, keys)} {listed}")
        if node.get("_partial_") or node.get("_args_"):
            return
        for parameter in found.parameters.values():
            given = parameter.name in node or parameter.name in supplied
            if parameter.required and not given and parameter.kind != "positional":
                self.report(f"{path}: {target} needs {parameter.name}; write +{path}.{parameter.name}=...")

    def check_value(self, path: str, value: Any, parameter: Parameter, allowed: str | None = None) -> None:
        """Report a value that does not fit its annotation, or its range."""
        alternatives = kinds_of(parameter)
        is_open = any(inner is UNKNOWN for _, inner in walk(value))
        expected = outside(value, allowed) if fits(value, alternatives) else words(alternatives)
        if is_open or expected is None:
            for target in named(value, alternatives):
                self.findings.check_safe(self.shown(path, value), target)
            return
        literals = [str(item) for kind in alternatives if kind.name == "literal" for item in kind.items]
        near = get_close_matches(str(value).lower(), literals, n=1)
        if near:
            sample = near[0]
        elif fits(value, alternatives):
            sample = self.sample(path, alternatives, allowed)
        elif isinstance(value, (int, float)) and any(kind.name == "str" for kind in alternatives):
            sample = f"\"'{show(value)}'\""
        elif any(kind.name == "list" and fits([value], (kind,)) for kind in alternatives):
            sample = f"[{show(value)}]"
        elif isinstance(value, float) and value.is_integer() and fits(int(value), alternatives):
            sample = str(int(value))
        else:
            sample = self.sample(path, alternatives, allowed)
        shown = self.shown(path, value)
        example = f"{shown.partition('=')[0]}={sample}"
        hint = f" Did you mean {example}?" if near else f" For example: {example}" if sample else ""
        text = f'text "{value}"' if isinstance(value, str) else show(value)
        if path in self.from_environment:
            text = 'text (for a number, quoted: "${oc.decode:${oc.env:...}}")' if isinstance(value, str) else "another"
        self.report(f"{shown}: expected {expected}, received {text}.{hint}")

    def sample(self, path: str, alternatives: tuple[Kind, ...], allowed: str | None) -> str:
        """Return a value that fits: the one in the YAML, or else any value of the kind."""
        group, _, key = path.partition(".")
        name = self.choices.get(group)
        if name in self.catalog.choices(group):
            usual = self.catalog.node(group, name).get(key, UNKNOWN)
            is_known = usual is not UNKNOWN and usual != "???" and "${" not in str(usual)
            if is_known and fits(usual, alternatives) and outside(usual, allowed) is None:
                return show(usual)
        for kind in alternatives:
            if kind.name == "literal":
                return str(kind.items[0])
            if kind.name in SAMPLES:
                return SAMPLES[kind.name]
        return ""


def are_devices(value: Any) -> bool:
    """Return whether a number of devices is above 0, and a list names each device once; of other values True."""
    if isinstance(value, list):
        return 0 < len(value) == len(set(map(str, value)))
    return not isinstance(value, int) or value > 0


def supplied_at(path: str) -> set[str]:
    """Return the arguments that the program fills in for the node at `path`."""
    return set().union(*(names for pattern, names in SUPPLIED.items() if fnmatchcase(path, pattern)))


def takes(found: Signature | None, path: str) -> list[str]:
    """Return the arguments a user may give."""
    return [key for key in found.parameters if key not in supplied_at(path)] if found else []
