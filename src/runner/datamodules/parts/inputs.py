"""From raw rows to what a net reads, and from labels to targets; each knows its state, plain JSON-able
values.

Shape letters: B batch, T time (tokens of the longest row), F features, D targets.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from runner.errors import UserError, closest
from runner.text import PAD, SPECIALS, UNK, Pipeline, Vocabulary


def cells(rows: list[dict], column: str) -> list:
    """Return one cell of every row.

    Raises:
        UserError: a row lacks the column.
    """
    for number, row in enumerate(rows, 1):
        if column not in row:
            names = ", ".join(map(str, row)) or "none"
            raise UserError(f'Row {number} has no column "{column}"; it has: {names}.{closest(column, map(str, row))}')
    return [row[column] for row in rows]


class TextInputs:
    """Texts as rows of token numbers.

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

    @property
    def max_len(self) -> int | None:
        """Tokens kept of a row; None = all."""
        return self.pipeline.max_len

    @property
    def columns(self) -> dict[str, str]:
        return {self.column: "string"}

    def tokens(self, rows: list[dict]) -> list[list[str]]:
        """Return the tokens of each row; a row without any has one that is unknown."""
        return [self.pipeline(str(text)) or [SPECIALS[UNK]] for text in cells(rows, self.column)]

    def encode(self, rows: list[dict]) -> tuple[Tensor]:
        """Return token numbers (B, T), int64, PAD behind shorter rows."""
        numbers = [self.vocabulary.encode(tokens) for tokens in self.tokens(rows)]
        longest = max(map(len, numbers), default=1)
        return (torch.tensor([row + [PAD] * (longest - len(row)) for row in numbers], dtype=torch.int64),)

    def features(self, rows: list[dict]) -> list[str]:
        """Return the texts as scikit-learn's vectorisers take them: as they are, or the words that have been found."""
        if self.pipeline.settings.finds_words:
            return [" ".join(tokens) for tokens in self.tokens(rows)]
        return [str(text) for text in cells(rows, self.column)]

    def state(self) -> dict:
        return {"column": self.column, **self.pipeline.state(), "vocabulary": self.vocabulary.state()}

    @classmethod
    def from_state(cls, state: dict) -> "TextInputs":
        return cls(state["column"], Pipeline.from_state(state), Vocabulary(**state["vocabulary"]))


class NumberInputs:
    """Number columns, standardised with the mean and the deviation of the training split.

    Args:
        names: the raw columns, in order.
        mean: of each column.
        std: standard deviation of each column; 1 where a column is constant.
        logs: columns that are replaced by their logarithm, each with the number that is added before.
        clip: standardised values are cut off at plus and minus this; None = they are not.
    """

    kind = "numbers"

    def __init__(
        self,
        names: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        logs: dict[str, float] | None = None,
        clip: float | None = None,
    ):
        self.names = list(names)
        self.mean = np.asarray(mean, dtype=np.float64)
        self.std = np.asarray(std, dtype=np.float64)
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
    ) -> "NumberInputs":
        """Take mean and deviation from the training rows (N, F)."""
        width = values.shape[1]
        plain = cls(names, np.zeros(width), np.ones(width), logs, clip)
        return cls(names, *mean_std(plain.logarithms(values)), logs, clip) if standardize else plain

    @property
    def columns(self) -> dict[str, str]:
        return dict.fromkeys(self.names, "double")

    def scale(self, values: np.ndarray) -> Tensor:
        """Standardise raw values (B, F); float32."""
        scaled = (self.logarithms(values) - self.mean) / self.std
        if self.clip is not None:
            scaled = scaled.clip(-self.clip, self.clip)
        return torch.from_numpy(scaled.astype(np.float32))

    def logarithms(self, values: np.ndarray) -> np.ndarray:
        """Return values (B, F) with the columns of `logs` replaced by their logarithms.

        Raises:
            UserError: a logarithm of a number that is not above 0.
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

    def encode(self, rows: list[dict]) -> tuple[Tensor]:
        """Return standardised features (B, F), float32."""
        table = np.empty((len(rows), len(self.names)))
        for place, name in enumerate(self.names):
            for number, cell in enumerate(cells(rows, name)):
                try:
                    table[number, place] = float(cell)
                except (TypeError, ValueError):
                    raise UserError(f'Row {number + 1}, column "{name}": {cell!r} is not a number.') from None
        return (self.scale(table),)

    def features(self, rows: list[dict]) -> np.ndarray:
        """Return the same as a float matrix (N, F)."""
        return self.encode(rows)[0].numpy()

    def state(self) -> dict:
        settings = {"logs": self.logs, "clip": self.clip}
        return {"names": self.names, "mean": self.mean.tolist(), "std": self.std.tolist(), **settings}

    @classmethod
    def from_state(cls, state: dict) -> "NumberInputs":
        return cls(**state)


class ImageInputs:
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

    def encode(self, rows: list[dict]) -> tuple[Tensor]:
        """Return (B, channels, height, width), float32.

        Raises:
            UserError: an image has another number of pixels.
        """
        images = [np.asarray(image, dtype=np.float32) for image in cells(rows, self.column)]
        for number, image in enumerate(images, 1):
            if image.size != np.prod(self.shape):
                raise UserError(
                    f'Row {number}, column "{self.column}": an image of shape {image.shape}; expected '
                    f"{self.shape[1]} x {self.shape[2]} grey values, 0 .. 255."
                )
        return (self.scale(np.stack([image.reshape(self.shape) for image in images])),)

    def features(self, rows: list[dict]) -> np.ndarray:
        """Return the pixels as a float matrix (N, F)."""
        return self.encode(rows)[0].flatten(1).numpy()

    def state(self) -> dict:
        return {"column": self.column, "shape": self.shape}

    @classmethod
    def from_state(cls, state: dict) -> "ImageInputs":
        return cls(**state)


class SequenceInputs:
    """Windows of several signals over time, each signal standardised with the training split.

    Args:
        column: name of the raw column; a cell is an array (steps, channels).
        mean: of each channel.
        std: standard deviation of each channel; 1 where a channel is constant.
        num_steps: steps of a window.
    """

    kind = "sequence"

    def __init__(self, column: str, mean: Sequence[float], std: Sequence[float], num_steps: int):
        self.column = column
        self.mean = np.asarray(mean, dtype=np.float64)
        self.std = np.asarray(std, dtype=np.float64)
        self.num_steps = num_steps

    @classmethod
    def fit(cls, column: str, windows: np.ndarray, standardize: bool = True) -> "SequenceInputs":
        """Take mean and deviation of each channel from the training windows (N, T, C)."""
        channels = windows.shape[2]
        mean, std = np.zeros(channels), np.ones(channels)
        if standardize:
            mean, std = mean_std(windows.reshape(-1, channels).astype(np.float64))
        return cls(column, mean, std, windows.shape[1])

    @property
    def columns(self) -> dict[str, str]:
        return {self.column: "tensor"}

    def scale(self, windows: np.ndarray) -> Tensor:
        """Standardise raw windows (B, T, C); float32."""
        mean, std = self.mean.astype(np.float32), self.std.astype(np.float32)
        return torch.from_numpy((np.asarray(windows, dtype=np.float32) - mean) / std)

    def encode(self, rows: list[dict]) -> tuple[Tensor]:
        """Return windows (B, T, C), float32.

        Raises:
            UserError: a window has another shape.
        """
        windows = [np.asarray(window, dtype=np.float32) for window in cells(rows, self.column)]
        shape = (self.num_steps, len(self.mean))
        for number, window in enumerate(windows, 1):
            if window.shape != shape:
                raise UserError(
                    f'Row {number}, column "{self.column}": a window of shape {window.shape}; expected {shape}, '
                    f"steps and channels."
                )
        return (self.scale(np.stack(windows)),)

    def features(self, rows: list[dict]) -> np.ndarray:
        """Return the windows as a float matrix (N, T * C)."""
        return self.encode(rows)[0].flatten(1).numpy()

    def state(self) -> dict:
        scales = {"mean": self.mean.tolist(), "std": self.std.tolist()}
        return {"column": self.column, **scales, "num_steps": self.num_steps}

    @classmethod
    def from_state(cls, state: dict) -> "SequenceInputs":
        return cls(**state)


class Classes:
    """Targets that are classes.

    Args:
        names: of the classes, in the order of their numbers.
    """

    kind = "classes"

    def __init__(self, names: Sequence[str]):
        self.names = list(names)

    def encode(self, numbers: np.ndarray) -> Tensor:
        """Return class numbers (N,), int64."""
        return torch.from_numpy(np.asarray(numbers, dtype=np.int64))

    def state(self) -> dict:
        return {"names": self.names}

    @classmethod
    def from_state(cls, state: dict) -> "Classes":
        return cls(**state)


class Numbers:
    """Targets that are real values, standardised with the training split; metrics are un-scaled again.

    Args:
        names: of the targets.
        mean: of each target.
        std: standard deviation of each target; 1 where it is constant.
    """

    kind = "numbers"

    def __init__(self, names: Sequence[str], mean: Sequence[float], std: Sequence[float]):
        self.names = list(names)
        self.mean = np.asarray(mean, dtype=np.float64)
        self.std = np.asarray(std, dtype=np.float64)

    @classmethod
    def fit(cls, names: Sequence[str], values: np.ndarray, standardize: bool = True) -> "Numbers":
        """Take mean and deviation from the training rows (N, D)."""
        if not standardize:
            return cls(names, np.zeros(values.shape[1]), np.ones(values.shape[1]))
        return cls(names, *mean_std(values))

    def encode(self, values: np.ndarray) -> Tensor:
        """Return standardised targets (N, D), float32."""
        return torch.from_numpy(((values - self.mean) / self.std).astype(np.float32))

    def state(self) -> dict:
        return {"names": self.names, "mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_state(cls, state: dict) -> "Numbers":
        return cls(**state)


def mean_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column; 1 for a constant column, which then becomes 0."""
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std > 0, std, 1.0)


Inputs = TextInputs | NumberInputs | ImageInputs | SequenceInputs
Targets = Classes | Numbers

INPUTS = {cls.kind: cls for cls in (TextInputs, NumberInputs, ImageInputs, SequenceInputs)}
TARGETS = {cls.kind: cls for cls in (Classes, Numbers)}
