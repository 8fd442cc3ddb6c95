"""Boston housing: 13 measurements of 506 districts and the median price of their houses.

Source: David Harrison and Daniel Rubinfeld, "Hedonic housing prices and the demand for clean air", Journal of
Environmental Economics and Management 5, 1978. The column B of the original is kept as it is; it is there for
comparison with the literature, not as advice.
"""

import csv

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_numbers
from runner.files import cache, sources

PACKAGE, FILE = "boston", "boston/resources/boston_house_prices.csv"


class BostonHousing(DataModule):
    """Districts of Boston; inputs and price (1000 dollars) are standardised with the training split.

    Args:
        in_features: declared number of measurements, 13.
        num_targets: declared number of targets, 1.
        batch_size: districts of a training batch.
        eval_batch_size: districts of a validation or test batch; None = at least 256.
        split_seed: of the division into splits.
        fold: which of `folds` parts is the test split.
        folds: number of equal parts.
        test_share: share of all rows in the test split; None = one of the equal parts.
        standardize: whether the measurements are standardised.
        standardize_target: whether the net learns the standardised price; metrics are in 1000 dollars all the same.
    """

    def __init__(
        self,
        in_features: int = 13,
        num_targets: int = 1,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        split_seed: int = 0,
        fold: int = 0,
        folds: int = 10,
        test_share: float | None = None,
        standardize: bool = True,
        standardize_target: bool = True,
    ):
        super().__init__(batch_size, eval_batch_size, split_seed, fold, folds, test_share)
        self.standardize = standardize
        self.standardize_target = standardize_target
        self.declared = {"in_features": in_features, "num_targets": num_targets}

    def prepare(self) -> Prepared:
        file = sources.package_file(PACKAGE, FILE, extra="data")
        with open(file, newline="", encoding="utf-8") as handle:
            header, *rows = csv.reader(handle)
        table = np.array(rows, dtype=np.float64)
        return prepare_numbers(
            header[:-1],
            table[:, :-1],
            table[:, -1:],
            self.splitting(len(table)),
            source=sources.package_source(PACKAGE, FILE),
            digest=cache.file_digest(file),
            target_names=header[-1:],
            standardize=self.standardize,
            standardize_targets=self.standardize_target,
        )
