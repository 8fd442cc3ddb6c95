"""From labels to targets of a net, and comparing an answer with the true label.

A new kind of target is a subclass of `Targets` with its own `kind`; it need not be registered.

Shape letters: N rows, D targets.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.codecs import Standardised, Stored, Values, mean_std
from runner.errors import UserError, closest
from runner.files.cells import number_of
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


def targets_for(
    values: np.ndarray,
    class_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
    standardize: bool = True,
) -> Classes | Numbers:
    """Return the encoding of classes if there are class names, of real values otherwise.

    Args:
        values: targets of the training split, class numbers (N,) or real values (N, D).
        class_names: names of the classes; None = the targets are real values.
        target_names: names of the real-valued targets.
        standardize: whether real-valued targets are standardised.
    """
    if class_names is not None:
        return Classes(class_names)
    return Numbers(target_names or [], *mean_std(values, standardize))
