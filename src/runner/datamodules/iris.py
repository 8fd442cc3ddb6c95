"""Iris: four measurements of 150 flowers of three kinds, from the file inside scikit-learn.

Source: R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7, 1936.
"""

import csv

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_numbers
from runner.files import cache, sources

PACKAGE, FILE = "scikit-learn", "sklearn/datasets/data/iris.csv"
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]  # centimetres


class Iris(DataModule):
    """Iris flowers; the four measurements are standardised with the training split.

    Args:
        in_features: declared number of measurements, 4.
        num_classes: declared number of kinds, 3.
        batch_size: flowers of a training batch.
        eval_batch_size: flowers of a validation or test batch; None = at least 256.
        split_seed: of the division into splits.
        fold: which of `folds` parts is the test split.
        folds: number of equal parts.
        test_share: share of all rows in the test split; None = one of the equal parts.
        standardize: whether the measurements are standardised.
    """

    def __init__(
        self,
        in_features: int = 4,
        num_classes: int = 3,
        batch_size: int = 16,
        eval_batch_size: int | None = None,
        split_seed: int = 0,
        fold: int = 0,
        folds: int = 10,
        test_share: float | None = None,
        standardize: bool = True,
    ):
        super().__init__(batch_size, eval_batch_size, split_seed, fold, folds, test_share)
        self.standardize = standardize
        self.declared = {"in_features": in_features, "num_classes": num_classes}

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
