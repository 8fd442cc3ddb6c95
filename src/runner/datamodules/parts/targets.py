"""From labels to targets of a net, and comparing an answer with the true label.

A new kind of target is a subclass of `Targets` with its own `kind`; it need not be registered.

Shape letters: N rows, D targets, K labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.codecs import Standardised, Stored, Values, mean_std
from runner.errors import UserError, closest
from runner.files.cells import labels_in, number_of
from runner.files.tables import listed


class Targets(Stored):
    """What is to be predicted. A truth is the label of a row, read: a class number, values, a text.

    Args:
        names: of the classes in the order of their numbers, or of the values.
    """

    def __init__(self, names: Sequence[str]):
        self.names = list(names)

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that such targets determine, by name."""
        return {}

    def columns(self, label: str | None = None) -> list[str]:
        """Return the columns of a labelled file that hold the truth; `label` is the user's choice."""
        return [label or "label"]

    def read(self, row: dict[str, Any], place: str) -> Any:
        """Return the truth of a row that has exactly these columns, in their order.

        Raises:
            UserError: naming the place and the column that cannot be read.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define read(row, place)")

    def encode(self, truths: Any) -> Tensor:
        """Return the target of the net for some truths."""
        raise NotImplementedError(f"{type(self).__name__} has to define encode(truths)")

    def decode(self, values: Tensor) -> list:
        """Return what targets of the net mean."""
        raise NotImplementedError(f"{type(self).__name__} has to define decode(values)")

    def error(self, answer: dict[str, Any], truth: Any) -> tuple[float, dict[str, Any]]:
        """Return how wrong an answer is, 0 = right, and the truth as columns of an output file."""
        raise NotImplementedError(f"{type(self).__name__} has to define error(answer, truth)")

    def sentence(self, answer: dict[str, Any], truth: Any) -> str:
        """Return truth and answer in words: "is A, answered B"."""
        return f"is {', '.join(map(str, self.error(answer, truth)[1].values()))}, answered {listed(answer.values())}"

    def state(self) -> dict[str, Any]:
        return {"names": self.names}


class Classes(Targets):
    """Targets that are classes.

    Args:
        names: of the classes, in the order of their numbers.
    """

    kind = "classes"

    @property
    def facts(self) -> dict[str, Any]:
        return {"num_classes": len(self.names)}

    def read(self, row: dict[str, Any], place: str) -> int:
        """Return the number of a class by its name, or by the number itself if no class is named by a number."""
        ((column, cell),) = row.items()
        text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
        if text in self.names:
            return self.names.index(text)
        if text.isdigit() and int(text) < len(self.names) and not any(name.isdigit() for name in self.names):
            return int(text)
        known = ", ".join(self.names[:12]) + (" ..." if len(self.names) > 12 else "")
        raise UserError(
            f'{place}, column "{column}": "{text}" is not a class of this model.{closest(text, self.names)} '
            f"Classes: {known}"
        )

    def encode(self, truths: Any) -> Tensor:
        """Return class numbers (N,), int64."""
        return torch.from_numpy(np.asarray(truths, dtype=np.int64))

    def decode(self, values: Tensor) -> list[str]:
        """Return the names of class numbers (N,)."""
        return [self.names[number] for number in values.tolist()]

    def error(self, answer: dict[str, Any], truth: int) -> tuple[float, dict[str, Any]]:
        """Return 0 if the class is right, else the probability of the wrong one."""
        name = self.names[truth]
        return (0.0 if answer["label"] == name else probability(answer)), {"truth": name}

    def sentence(self, answer: dict[str, Any], truth: int) -> str:
        return f"is {self.names[truth]}, answered {answer['label']} ({probability(answer):.2f})"


def probability(answer: dict[str, Any]) -> float:
    """Return the probability that an answer gives its class; 1 if it has no probabilities."""
    return answer.get(f"probability_{answer['label']}", 1.0)


class Numbers(Standardised, Targets):
    """Targets that are real values, standardised with the training split; metrics are un-scaled again.

    Args:
        names: of the targets.
        mean: of each target.
        std: standard deviation of each target; 1 where it is constant.
    """

    kind = "numbers"

    def __init__(self, names: Sequence[str], mean: Values, std: Values):
        Standardised.__init__(self, mean, std)
        Targets.__init__(self, names)

    @property
    def facts(self) -> dict[str, Any]:
        return {"num_targets": len(self.mean)}

    def columns(self, label: str | None = None) -> list[str]:
        if label and len(self.names) > 1:
            raise UserError(f"this model answers several values: the columns are {', '.join(self.names)}")
        return [label] if label else list(self.names)

    def read(self, row: dict[str, Any], place: str) -> list[float]:
        return [number_of(cell, f'{place}, column "{column}"') for column, cell in row.items()]

    def encode(self, truths: Any) -> Tensor:
        """Return standardised targets (N, D), float32."""
        return self.scale(np.asarray(truths, dtype=np.float64))

    def decode(self, values: Tensor) -> list[list[float]]:
        """Return values (N, D) in the data's own units."""
        return (values.double().cpu().numpy() * self.std + self.mean).tolist()

    def error(self, answer: dict[str, Any], truth: Sequence[float]) -> tuple[float, dict[str, Any]]:
        """Return the largest distance of a value from the true one."""
        pairs = list(zip(self.names, truth, strict=True))
        return max(abs(answer[name] - value) for name, value in pairs), {f"true_{name}": value for name, value in pairs}

    def sentence(self, answer: dict[str, Any], truth: Sequence[float]) -> str:
        pairs = zip(self.names, truth, strict=True)
        return ", ".join(f"{name} is {value:g}, answered {answer[name]:g}" for name, value in pairs)

    def state(self) -> dict[str, Any]:
        return {"names": self.names, **self.scales()}


class LabelSets(Targets):
    """Which of K labels a row has.

    Args:
        names: of the labels, in the order of their numbers.
        separator: what stands between the labels in a cell; None = a cell is a list.
    """

    kind = "label_sets"

    def __init__(self, names: Sequence[str], separator: str | None = None):
        super().__init__(names)
        self.separator = separator

    @property
    def facts(self) -> dict[str, Any]:
        return {"num_labels": len(self.names)}

    @property
    def mark(self) -> str:
        """What is written between the labels of an answer."""
        return self.separator or ";"

    def read(self, row: dict[str, Any], place: str) -> list[float]:
        """Return 1 for each label that the cell holds, 0 for the others."""
        ((column, cell),) = row.items()
        try:
            found = labels_in(cell, self.mark)
        except ValueError as error:
            raise UserError(f'{place}, column "{column}": {error}') from None
        for name in found:
            if name not in self.names:
                raise UserError(
                    f'{place}, column "{column}": "{name}" is not a label of this model.{closest(name, self.names)} '
                    f"Labels: {listed(self.names)}"
                )
        return [float(name in found) for name in self.names]

    def encode(self, truths: Any) -> Tensor:
        """Return 1 where a row has a label, 0 elsewhere, (N, K), float32."""
        return torch.from_numpy(np.asarray(truths, dtype=np.float32).reshape(-1, len(self.names)))

    def decode(self, values: Tensor) -> list[list[str]]:
        """Return the labels that rows of 0 and 1 (N, K) stand for."""
        return [[name for name, has in zip(self.names, row, strict=True) if has] for row in values.tolist()]

    def joined(self, truth: Any) -> str:
        """Return the labels of a row of 0 and 1 as one text."""
        return self.mark.join(name for name, has in zip(self.names, truth, strict=True) if has)

    def error(self, answer: dict[str, Any], truth: list[float]) -> tuple[float, dict[str, Any]]:
        """Return how many labels are wrong, those that are missing and those that are too many."""
        said = set(answer["labels"].split(self.mark))
        wrong = sum((name in said) != bool(has) for name, has in zip(self.names, truth, strict=True))
        return float(wrong), {"truth": self.joined(truth)}

    def sentence(self, answer: dict[str, Any], truth: list[float]) -> str:
        return f"has {self.joined(truth) or 'no label'}, answered {answer['labels'] or 'no label'}"

    def state(self) -> dict[str, Any]:
        return {"names": self.names, "separator": self.separator}


class LabelNames(list[str]):
    """Names of labels, where a row may have several of them.

    Args:
        names: in the order of their numbers.
        separator: what stands between the labels in a cell; None = a cell is a list.
    """

    def __init__(self, names: Sequence[str], separator: str | None = None):
        super().__init__(names)
        self.separator = separator


def targets_for(
    values: np.ndarray,
    class_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
    standardize: bool = True,
) -> Targets:
    """Return the encoding of classes, or of labels, if there are names of them, of real values otherwise.

    Args:
        values: targets of the training split, class numbers (N,) or real values (N, D).
        class_names: names of the classes, or `LabelNames`; None = the targets are real values.
        target_names: names of the real-valued targets.
        standardize: whether real-valued targets are standardised.
    """
    if isinstance(class_names, LabelNames):
        return LabelSets(class_names, class_names.separator)
    if class_names is not None:
        return Classes(class_names)
    return Numbers(target_names or [], *mean_std(values, standardize))


def raw_target(target: Any, class_numbers: dict[Any, int] | None) -> list[float]:
    """Return the target of a row as numbers: that of its class, its values, or 0 and 1 for each label.

    Args:
        target: the name of a class, a number, several numbers, or the names of labels.
        class_numbers: of the classes, or of the labels, by name; None = the targets are numbers.
    """
    if not isinstance(target, tuple):
        return [float(target) if class_numbers is None else class_numbers[target]]
    if class_numbers is None:
        return [float(value) for value in target]
    return [float(name in target) for name in class_numbers]


def target_array(values: Any, rows: int, class_names: Sequence[str] | None) -> np.ndarray:
    """Return raw targets as class numbers (N,), int64, or as values or labels (N, D).

    Args:
        values: what `raw_target` returned for the rows, one after another.
        rows: their number N.
        class_names: names of the classes, or `LabelNames`; None = the targets are real values.
    """
    found = np.asarray(values, dtype=np.float64)
    if class_names is None or isinstance(class_names, LabelNames):
        return found.reshape(rows, -1)
    return found.astype(np.int64)


def numbers_of_names(names: Sequence[str] | None) -> dict[Any, int] | None:
    """Return the numbers of classes or labels by their names; None without names."""
    return None if names is None else {name: number for number, name in enumerate(names)}
