"""Boston housing: 13 measurements of 506 districts and the median price of their houses.

Source: David Harrison and Daniel Rubinfeld, "Hedonic housing prices and the demand for clean air", Journal of
Environmental Economics and Management 5, 1978. The column B of the original is kept unchanged; it is included for
comparison with the literature, not as a recommendation.
"""

import csv
from dataclasses import dataclass

import numpy as np

from runner.datamodules.base import DataModule
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.tensors import prepare_numbers
from runner.files import cache, sources

PACKAGE, FILE = "boston", "boston/resources/boston_house_prices.csv"


@dataclass(kw_only=True, eq=False, repr=False)
class BostonHousing(DataModule):
    """Districts of Boston; inputs and price (1000 dollars) are standardised with the training split.

    Args:
        in_features: declared number of measurements, 13.
        num_targets: declared number of targets, 1.
        standardize: whether the measurements are standardised.
        standardize_target: whether the net learns the standardised price; metrics are in 1000 dollars in both cases.
    """

    in_features: int = 13
    num_targets: int = 1
    standardize: bool = True
    standardize_target: bool = True

    @property
    def unit(self) -> str:
        return "1000 dollars"

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
