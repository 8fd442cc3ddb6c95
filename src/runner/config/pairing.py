"""Whether the model, data and task of a configuration go together: the rule is in catalog.py, the messages are here."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from runner.config.annotations import fits, kinds_of
from runner.config.catalog import alternatives, given, needed, noted
from runner.config.findings import Findings
from runner.config.signatures import signature
from runner.config.wording import joined
from runner.files.tables import listed


@dataclass
class Pair:
    """The model, the data and the task of one composed config.

    Args:
        findings: collects the problems.
        cfg: the composed config.
        raw: the same with unresolved interpolations.
        choices: {group: choice}.
        reasons: facts that a user's table lacks, each with the reason.
    """

    findings: Findings
    cfg: DictConfig
    raw: dict[str, Any]
    choices: dict[str, str | None]
    reasons: dict[str, str]

    def __post_init__(self) -> None:
        self.catalog = self.findings.catalog
        self.model, self.data, self.task = (self.choices.get(group) or "" for group in ("model", "data", "task"))

    def check(self) -> set[str]:
        """Report what does not go together; return the interpolations ("data.x") that need no separate message."""
        if not all(isinstance(self.raw.get(group), dict) for group in ("model", "data", "task")):
            return set()
        if self.model in self.catalog.choices("model") and not self.catalog.says_what_it_reads(self.model, self.task):
            self.findings.report(
                f"model={self.model} does not say what it reads, so it cannot be known which data it goes with: name a "
                f"fact of the data in {self.catalog.path('model', self.model)}, such as "
                "in_features: ${data.in_features}, or say takes: WORD where the data says gives: WORD"
            )
            return set()
        if self.wrong_task():
            unread = ("model", "task"), ("task", "data")
            return {f"{source}.{key}" for reader, source in unread for key in needed(self.raw[reader], source)}
        model_lacks = self.lacking("model", "data")
        task_lacks = self.lacking("task", "data")
        model_lacks_of_task = self.lacking("model", "task")
        known = self.catalog.known(self.model, self.raw["model"], self.raw["task"])
        unknown = sorted(noted(self.raw["data"], "asks") - known)
        excused = {f"data.{key}" for key in (*model_lacks, *task_lacks)}
        excused |= {f"task.{key}" for key in model_lacks_of_task}
        excused |= {f"task.{key}" for key, raw in self.raw["task"].items() if excused & references(raw)}
        if unknown and not (model_lacks or task_lacks):
            self.findings.report(self.unknown_kind(unknown))
        elif model_lacks or task_lacks or model_lacks_of_task:
            self.findings.report(self.sentence(model_lacks, task_lacks, model_lacks_of_task))
        return excused

    def lacking(self, reader: str, source: str) -> list[str]:
        """Return what one node needs from another and does not find: keys, values that are not null, and words."""
        lacking = []
        found = signature(self.raw[reader].get("_target_"))
        parameters = found.parameters if found else {}
        for key in sorted(needed(self.raw[reader], source)):
            places = [name for name, raw in self.raw[reader].items() if raw == f"${{{source}.{key}}}"]
            may_be_null = all(fits(None, kinds_of(parameters[name])) for name in places if name in parameters)
            if key not in self.raw[source] or (not may_be_null and self.is_null(source, key)):
                lacking.append(key)
        either = sorted(alternatives(self.raw[reader])) if source == "data" else []
        if either and not set(either) & set(self.raw[source]):
            lacking.append(" or ".join(either))
        if source == "data":
            lacking += sorted(noted(self.raw[reader], "takes") - given(self.raw["data"]))
        return lacking

    def unknown_kind(self, kinds: list[str]) -> str:
        """Say that the model knows nothing of the kind of data that this is, and which models do."""
        start = f"{self.label('model')} cannot read {self.label('data')}: that is for models that read {joined(kinds)}"
        if self.data not in self.catalog.choices("data"):
            return f"{start}."
        readers = [
            model
            for model in self.catalog.readers(self.data)
            if set(kinds) <= self.catalog.known(model, self.catalog.node("model", model), self.raw["task"])
        ]
        return f"{start}: {listed(readers) or 'there is none'}."

    def is_null(self, group: str, key: str) -> bool:
        """Return whether a value is known to be null; problems with it are reported when its own node is checked."""
        if "${hydra:" in str(self.raw[group][key]):
            return False
        try:
            return self.cfg[group][key] is None
        except OmegaConfBaseException:
            return False

    def wrong_task(self) -> bool:
        """Report a built-in task that a model cannot be trained with: not its own, or one of other models only."""
        model, task = self.model, self.task
        named = model in self.catalog.choices("model") and task in self.catalog.choices("task")
        if not named or not target_of(self.raw["task"]).startswith("runner."):
            return False
        own, owners = self.catalog.override("model", model, "task"), self.catalog.owners(task)
        known_data = self.data in self.catalog.choices("data")
        brought = known_data and self.catalog.override("data", self.data, "task") == task
        if own == task or (own is None and (brought or not owners)):
            return False
        why = f"it has its own task, {own}" if own else f"that is the task of {', '.join(owners)}"
        remedy = "Leave task= out, or name your own task class."
        if not target_of(self.raw["model"]).startswith("runner."):
            remedy += f" Or name its task in conf/model/{model}.yaml: override /task@_global_.task: {task}"
        self.findings.report(f"model={model} cannot be trained with task={task}: {why}. {remedy}")
        return True

    def sentence(self, model_lacks: list[str], task_lacks: list[str], model_lacks_of_task: list[str]) -> str:
        model, data, task = self.model, self.data, self.task
        named = model in self.catalog.choices("model") and data in self.catalog.choices("data")
        usual = self.catalog.task(model, data) if named else task
        has_own = named and self.catalog.override("model", model, "task") is not None
        if task != usual:  # the user typed the task
            facts = [*model_lacks, *task_lacks]
            why = f"data={data} has no {joined(facts)}" if facts else f"it gives no {joined(model_lacks_of_task)}"
            start = f"model={model} and data={data} do not go with task={task}: {why}."
            if self.catalog.can_read(model, data):
                return f"{start} Leave task= out: the task of this pair is {usual}."
        elif model_lacks or has_own:
            lacks = f"it needs {joined(dict.fromkeys([*model_lacks, *task_lacks]))}, which {data} does not have"
            start = f"{self.label('model')} cannot read {self.label('data')}: {lacks}."
        elif task_lacks:
            start = f"{self.label('data')} cannot be used with task={task}: it has no {joined(task_lacks)}."
        else:
            why = f"{data} comes with task={task}, which has no {joined(model_lacks_of_task)}"
            start = f"{self.label('model')} cannot read {self.label('data')}: {why}."
        if not named:
            return start
        lacks_each = [key for lack in (*model_lacks, *task_lacks) for key in lack.split(" or ")]
        if reasons := [self.reasons[key] for key in lacks_each if key in self.reasons]:
            return " ".join([start, *dict.fromkeys(reasons)])
        readers, readable = self.catalog.readers(data), self.catalog.readable(model)
        return (
            f"{start} {data} can be read by: {listed(readers) or 'no model'}. "
            f"{model} can read: {listed(readable) or 'no data'}."
        )

    def label(self, group: str) -> str:
        """Return "model=textcnn", with a remark if it was not typed."""
        name = self.choices.get(group)
        typed = {typed.key for typed in self.findings.typed} & {group, "experiment"}
        return f"{group}={name}" + ("" if typed or name != self.catalog.default(group) else " (the default)")


def references(raw: Any) -> set[str]:
    """Return {"data.x", "task.y"} for the interpolations in a raw value."""
    return {f"{source}.{key}" for source in ("data", "task") for key in needed(raw, source)}


def target_of(node: dict[str, Any]) -> str:
    """Return the class a node names, or an empty text."""
    return str(node.get("_target_", ""))
