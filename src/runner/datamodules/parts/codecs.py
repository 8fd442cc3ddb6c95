"""From raw rows to the inputs of a net and back; each codec has a state of plain JSON-able values.

A new kind of input is a subclass of `Codec` with its own `kind`; it need not be registered.

Shape letters: B batch, T time (tokens of the longest row, steps of a window), F features, C channels.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from runner.errors import UserError
from runner.files.tables import no_column
from runner.text.pipeline import Pipeline
from runner.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary

Values = Sequence[float] | np.ndarray


class Stored:
    """What is stored with a trained model as JSON-able state; its class is found by its `kind`."""

    kind: ClassVar[str]
    kinds: ClassVar[dict[str, Any]]  # kind -> class; every direct subclass of Stored has its own dictionary

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if Stored in cls.__bases__:
            cls.kinds = {}
        if "kind" in vars(cls):
            cls.kinds[cls.kind] = cls

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs, JSON-able."""
        raise NotImplementedError(f"{type(self).__name__} has to define state()")

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the object whose `state` this is."""
        return cls(**state)

    def stored(self) -> dict[str, Any]:
        """Return the state together with the kind."""
        return {"kind": self.kind, **self.state()}

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Self:
        """Return the object of any kind that has been stored.

        Raises:
            UserError: the kind is not known.
        """
        state = dict(stored)
        kind = state.pop("kind")
        if kind not in cls.kinds:
            raise UserError(
                f"the model's data is of the kind {kind!r}, which no loaded class has: {', '.join(cls.kinds)} are known"
            )
        return cls.kinds[kind].from_state(state)


class Codec(Stored):
    """From raw rows (column -> value) to inputs of a net. A subclass has a `kind`, and `columns`, `encode`, `state`."""

    @property
    def columns(self) -> dict[str, str]:
        """The raw columns and their types: "string", "double" or "tensor" (an array)."""
        raise NotImplementedError(f"{type(self).__name__} has to define columns")

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return the inputs of the net, one tensor each.

        Raises:
            UserError: a row lacks a column or holds something that cannot be read.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define encode(rows)")

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of token numbers."""
        raise UserError(f"inputs of the kind {self.kind} are not texts, so they cannot be decoded")

    def features(self, rows: list[dict]) -> Sequence[str] | np.ndarray:
        """Return the rows as scikit-learn takes them: texts, or a float matrix (N, F)."""
        return np.concatenate([part.flatten(1).numpy() for part in self.encode(rows)], axis=1)

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        """Return made-up raw rows that can be encoded."""
        raise NotImplementedError(f"{type(self).__name__} has to define example(rows, draw)")


class Columns(Codec):
    """Several inputs side by side, such as source and target of a translation, or document and question.

    Args:
        parts: what encodes each, by name, in the order of the inputs. Two parts may read the same column.
    """

    kind = "columns"

    def __init__(self, parts: Mapping[str, Codec]):
        self.parts = dict(parts)

    @property
    def max_len(self) -> int | None:
        """Tokens that every part keeps of a row; None = as many as there are."""
        return min(filter(None, (getattr(part, "max_len", None) for part in self.parts.values())), default=None)

    @property
    def columns(self) -> dict[str, str]:
        return {name: kind for part in self.parts.values() for name, kind in part.columns.items()}

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        return tuple(tensor for part in self.parts.values() for tensor in part.encode(rows))

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of token numbers of the last part, the one that is written."""
        return list(self.parts.values())[-1].decode(numbers)

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        parts = [part.example(rows, draw) for part in self.parts.values()]
        return [{name: cell for cells in row for name, cell in cells.items()} for row in zip(*parts, strict=True)]

    def state(self) -> dict[str, Any]:
        return {"parts": {name: part.stored() for name, part in self.parts.items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls({name: Codec.restored(part) for name, part in state["parts"].items()})


class TextInputs(Codec):
    """Texts as rows of token numbers; if the vocabulary has marks for start and end, texts begin and end with them.

    Args:
        column: name of the raw column.
        pipeline: the function text -> tokens.
        vocabulary: numbers of the tokens.
    """

    kind = "text"

    def __init__(self, column: str, pipeline: Pipeline, vocabulary: Vocabulary):
        self.column = column
        self.pipeline = pipeline
        self.vocabulary = vocabulary
        self.first = [] if vocabulary.start is None else [START]
        self.last = [] if vocabulary.end is None else [END]

    @property
    def max_len(self) -> int | None:
        """Tokens of a row that are kept, including its marks; None = all."""
        return self.pipeline.max_len

    @property
    def columns(self) -> dict[str, str]:
        return {self.column: "string"}

    def tokens(self, rows: list[dict]) -> list[list[str]]:
        """Return the tokens of each row, cut so that its marks stay; a row without tokens gets one unknown token."""
        marks = len(self.first) + len(self.last)
        texts = [self.pipeline(str(text), marks) for text in cells(rows, self.column)]
        return [self.first + (tokens or [SPECIALS[UNK]]) + self.last for tokens in texts]

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return token numbers (B, T), int64, shorter rows padded with PAD."""
        numbers = [self.vocabulary.encode(tokens) for tokens in self.tokens(rows)]
        longest = max(map(len, numbers), default=1)
        return (torch.tensor([row + [PAD] * (longest - len(row)) for row in numbers], dtype=torch.int64),)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of token numbers, up to its end mark; an unknown token is shown as U+FFFD."""
        return self.pipeline.joined(self.vocabulary.readable(numbers))

    def features(self, rows: list[dict]) -> list[str]:
        """Return the texts as scikit-learn's vectorisers take them: unchanged, or as the words that were found."""
        if self.pipeline.settings.finds_words:
            return [" ".join(tokens) for tokens in self.tokens(rows)]
        return [str(text) for text in cells(rows, self.column)]

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        known = self.vocabulary.tokens[len(self.vocabulary.specials) :] or ["word"]
        lengths = draw.integers(1, min(self.max_len or 12, 12), size=rows, endpoint=True)
        return [{self.column: self.pipeline.joined(list(draw.choice(known, size=length)))} for length in lengths]

    def state(self) -> dict[str, Any]:
        return {"column": self.column, **self.pipeline.state(), "vocabulary": self.vocabulary.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(state["column"], Pipeline.from_state(state), Vocabulary(**state["vocabulary"]))


class Standardised:
    """Values that are shifted and scaled to mean 0 and deviation 1, each column separately.

    Args:
        mean: of each column.
        std: standard deviation of each column; 1 where a column is constant.
    """

    def __init__(self, mean: Values, std: Values):
        self.mean = np.asarray(mean, dtype=np.float64)
        self.std = np.asarray(std, dtype=np.float64)

    def scale(self, values: Any) -> Tensor:
        """Standardise values (..., columns), in their own precision; float32.

        Raises:
            UserError: a value is not finite, or so large that float32 cannot hold it.
        """
        values = np.asarray(values)
        kind = np.result_type(values.dtype, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # found below
            scaled = ((values - self.mean.astype(kind)) / self.std.astype(kind)).astype(np.float32)
        if not np.isfinite(scaled).all():
            place = np.argwhere(~np.isfinite(scaled))[0]
            names = getattr(self, "names", None)
            column = f', column "{names[place[-1]]}"' if names else ""
            raise UserError(
                f"Row {place[0] + 1}{column}: {values[tuple(place)]} cannot be read: a number is finite, and at most "
                f"{np.finfo(np.float32).max:.2g} in size after it is standardised."
            )
        return torch.from_numpy(scaled)

    def scales(self) -> dict[str, list[float]]:
        """Return mean and deviation, JSON-able."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}


def mean_std(values: np.ndarray, standardize: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column (N, F); 1 for a constant column, which then becomes 0.

    Args:
        values: of the training split.
        standardize: False = 0 and 1, which leave values unchanged.
    """
    if not standardize:
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std > 0, std, 1.0)


class NumberInputs(Standardised, Codec):
    """Number columns, standardised with the mean and the deviation of the training split.

    Args:
        names: the raw columns, in order.
        mean: of each column.
        std: standard deviation of each column; 1 where a column is constant.
        logs: columns that are replaced by their logarithm, with the number that is added first.
        clip: standardised values are clipped at plus and minus this; None = no clipping.
    """

    kind = "numbers"

    def __init__(
        self,
        names: Sequence[str],
        mean: Values,
        std: Values,
        logs: dict[str, float] | None = None,
        clip: float | None = None,
    ):
        super().__init__(mean, std)
        self.names = list(names)
        self.logs = dict(logs or {})
        self.clip = clip

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        values: np.ndarray,
        standardize: bool = True,
        logs: dict[str, float] | None = None,
        clip: float | None = None,
    ) -> Self:
        """Take mean and deviation from the training rows (N, F)."""
        made = cls(names, *mean_std(values, standardize=False), logs, clip)
        made.mean, made.std = mean_std(made.logarithms(values), standardize)
        return made

    @property
    def columns(self) -> dict[str, str]:
        return dict.fromkeys(self.names, "double")

    def scale(self, values: np.ndarray) -> Tensor:
        """Standardise raw values (B, F); float32."""
        scaled = super().scale(self.logarithms(values))
        return scaled if self.clip is None else scaled.clip(-self.clip, self.clip)

    def logarithms(self, values: np.ndarray) -> np.ndarray:
        """Return values (B, F) with the columns of `logs` replaced by their logarithms.

        Raises:
            UserError: the logarithm of a number that is not above 0.
        """
        for name, added in self.logs.items():
            place = self.names.index(name)
            values = np.array(values)
            if (values[:, place] + added <= 0).any():
                raise UserError(
                    f'The column "{name}" has the value {values[:, place].min()}, and the logarithm of it plus {added} '
                    f"does not exist. Correct the cell."
                )
            values[:, place] = np.log(values[:, place] + added)
        return values

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return standardised features (B, F), float32."""
        table = np.empty((len(rows), len(self.names)))
        for place, name in enumerate(self.names):
            for number, cell in enumerate(cells(rows, name)):
                try:
                    table[number, place] = float(cell)
                except (TypeError, ValueError):
                    raise UserError(f'Row {number + 1}, column "{name}": {cell!r} is not a number.') from None
        return (self.scale(table),)

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        table = self.mean + self.std * draw.standard_normal((rows, len(self.names)))
        for name, added in self.logs.items():
            table[:, self.names.index(name)] = np.exp(table[:, self.names.index(name)]) - added
        return [dict(zip(self.names, row, strict=True)) for row in table.tolist()]

    def state(self) -> dict[str, Any]:
        return {"names": self.names, **self.scales(), "logs": self.logs, "clip": self.clip}


class ImageInputs(Codec):
    """Grey images, 0 .. 255, as numbers 0 .. 1.

    Args:
        column: name of the raw column; a cell is an array (height, width) of grey values.
        shape: channels, height, width.
    """

    kind = "image"

    def __init__(self, column: str, shape: Sequence[int]):
        self.column = column
        self.shape = list(shape)

    @property
    def columns(self) -> dict[str, str]:
        return {self.column: "tensor"}

    def scale(self, images: np.ndarray) -> Tensor:
        """Return (B, channels, height, width), float32, from grey values of any arrangement."""
        return torch.from_numpy(np.asarray(images, dtype=np.float32).reshape(-1, *self.shape) / np.float32(255))

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return (B, channels, height, width), float32; an image has to have the right number of pixels."""
        images = arrays(rows, self.column)
        for number, image in enumerate(images, 1):
            if image.size != np.prod(self.shape):
                raise UserError(
                    f'Row {number}, column "{self.column}": an image of shape {image.shape}; expected '
                    f"{self.shape[1]} x {self.shape[2]} grey values, 0 .. 255."
                )
        return (self.scale(np.stack([image.reshape(self.shape) for image in images])),)

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        return [{self.column: image} for image in draw.integers(0, 256, (rows, *self.shape[1:]))]

    def state(self) -> dict[str, Any]:
        return {"column": self.column, "shape": self.shape}


class SequenceInputs(Standardised, Codec):
    """Windows of several signals over time, each signal standardised with the training split.

    Args:
        column: name of the raw column; a cell is an array (steps, channels).
        mean: of each channel.
        std: standard deviation of each channel; 1 where a channel is constant.
        num_steps: steps of a window.
    """

    kind = "sequence"

    def __init__(self, column: str, mean: Values, std: Values, num_steps: int):
        super().__init__(mean, std)
        self.column = column
        self.num_steps = num_steps

    @property
    def columns(self) -> dict[str, str]:
        return {self.column: "tensor"}

    def scale(self, values: Any) -> Tensor:
        """Standardise raw windows (B, T, C); float32."""
        return super().scale(np.asarray(values, dtype=np.float32))

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return windows (B, T, C), float32; a window has to have the right shape."""
        windows = arrays(rows, self.column)
        shape = (self.num_steps, len(self.mean))
        for number, window in enumerate(windows, 1):
            if window.shape != shape:
                raise UserError(
                    f'Row {number}, column "{self.column}": a window of shape {window.shape}; expected {shape}, '
                    f"steps and channels."
                )
        return (self.scale(np.stack(windows)),)

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        windows = self.mean + self.std * draw.standard_normal((rows, self.num_steps, len(self.mean)))
        return [{self.column: window} for window in windows]

    def state(self) -> dict[str, Any]:
        return {"column": self.column, **self.scales(), "num_steps": self.num_steps}


def cells(rows: list[dict], column: str) -> list:
    """Return one cell of every row.

    Raises:
        UserError: a row lacks the column.
    """
    for number, row in enumerate(rows, 1):
        if column not in row:
            raise no_column(f"Row {number}", column, row)
    return [row[column] for row in rows]


def arrays(rows: list[dict], column: str) -> list[np.ndarray]:
    """Return one cell of every row as an array of finite numbers, float32.

    Raises:
        UserError: a row lacks the column, or its cell is not such an array.
    """
    found = []
    for number, cell in enumerate(cells(rows, column), 1):
        try:
            with np.errstate(over="ignore"):
                found.append(np.asarray(cell, dtype=np.float32))
        except (TypeError, ValueError):
            raise UserError(f'Row {number}, column "{column}": not an array of numbers.') from None
        if not np.isfinite(found[-1]).all():
            raise UserError(f'Row {number}, column "{column}": a number is not finite, or too large for 32 bits.')
    return found
