"""Prompting: a pretrained model is told what the classes are called, and answers without training.

The net is an estimator with `name_classes(descriptions)`; one that answers questions has `ask(question)`.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Trainer

from runner.datamodules.base import DataModule
from runner.errors import UserError
from runner.tasks.answers import class_answers, class_columns, class_names
from runner.tasks.base import Question
from runner.tasks.estimator import Estimator


class Prompting(Estimator):
    """Score on validation and test with the metrics of the trained nets; answer with any labels.

    Args:
        net: has what an estimator of classes has, and `name_classes`.
        num_outputs: number of classes.
        descriptions: what each class is called when it is put to the net, in the order of the classes; None = by the
            names of the classes, with spaces for dots, hyphens and underscores.
        labels: what to choose from instead of the classes, when the model is used: a list, or one text with commas.
    """

    asked_as = ("question_answering", "zero_shot")
    at_use = ("labels",)

    def __init__(
        self,
        net: Any,
        num_outputs: int,
        descriptions: list[str] | None = None,
        labels: list[str] | str | None = None,
    ):
        super().__init__(net)
        if not hasattr(net, "name_classes"):
            raise UserError(
                f"task=prompting is for models that are told the names of classes, not {type(net).__name__}"
            )
        if descriptions is not None and len(descriptions) != num_outputs:
            raise UserError(f"task.descriptions has {len(descriptions)} entries for {num_outputs} classes")
        self.descriptions = descriptions
        split = labels.split(",") if isinstance(labels, str) else labels or []
        self.labels = [str(label).strip() for label in split]
        if self.labels and (len(set(self.labels)) < 2 or not all(self.labels)):
            raise UserError(f"task.labels are two or more, with commas between them; received {labels!r}")

    def connect(self, data: DataModule) -> None:
        super().connect(data)
        names = class_names(data)
        try:
            self.net.name_classes(self.labels or self.descriptions or [in_words(name) for name in names])
        except ValueError as error:
            raise UserError(f"{error} (task.descriptions, or labels= of a finished run)") from error

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Any:
        """Return texts that say which class they are of, in the words of the class."""
        _, classes = super().example(facts, read | {"vocab_size"}, rows, draw)
        return [f"class {number}" for number in classes], classes

    def fit(self, trainer: Trainer, data: DataModule, checkpoint: str | None = None) -> None:
        if self.labels:
            raise UserError("task.labels is for use (predict labels=...); of the data's own classes: task.descriptions")
        super().fit(trainer, data, checkpoint)

    def judged(self, examples: Any, actual: Any) -> dict[str, float]:
        if self.labels:
            raise UserError("with labels= of your own there is nothing to compare with: leave labels= out")
        return super().judged(examples, actual)

    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: the label and the probability of each."""
        probabilities = self.net.predict_proba(data.plain_features(rows))  # (N, K)
        names = self.labels or class_names(data)
        return class_answers(names, probabilities.argmax(axis=1).tolist(), probabilities.tolist())

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return class_columns(self.labels or class_names(data))

    def questions(self) -> dict[str, Question]:
        if not hasattr(self.net, "ask"):
            return {}
        return {"question": lambda question, data: [{"answer": self.net.ask(question)}]}


def in_words(name: str) -> str:
    """Return the name of a class as words."""
    return " ".join(re.split(r"[\s._/-]+", name.strip("._/-")))
