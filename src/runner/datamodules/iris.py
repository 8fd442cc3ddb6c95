"""Iris: four measurements of 150 flowers of three kinds, from the file inside scikit-learn.

Source: R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7, 1936.
"""

import csv
from dataclasses import dataclass

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_numbers
from runner.files import cache, sources

PACKAGE, FILE = "scikit-learn", "sklearn/datasets/data/iris.csv"
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]  # centimetres


@dataclass(kw_only=True, eq=False, repr=False)
class Iris(DataModule):
    """Iris flowers; the four measurements are standardised with the training split.

    Args:
        in_features: declared number of measurements, 4.
        num_classes: declared number of kinds, 3.
        standardize: whether the measurements are standardised.
    """

    in_features: int = 4
    num_classes: int = 3
    batch_size: int = 16
    standardize: bool = True

    def prepare(self) -> Prepared:
        file = sources.package_file(PACKAGE, FILE)
        with open(file, newline="", encoding="utf-8") as handle:
            header, *rows = csv.reader(handle)  # the header is: rows, columns, names of the classes
        table = np.array(rows, dtype=np.float64)
        target = table[:, -1].astype(np.int64)
        return prepare_numbers(
            COLUMNS,
            table[:, :-1],
            target,
            self.splitting(len(table), target),
            source=sources.package_source(PACKAGE, FILE),
            digest=cache.file_digest(file),
            class_names=header[2:],
            standardize=self.standardize,
        )
