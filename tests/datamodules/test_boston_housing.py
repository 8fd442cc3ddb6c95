"""Boston housing."""

from runner.datamodules.boston_housing import BostonHousing


def test_boston_as_it_is():
    data = BostonHousing(standardize=False, standardize_target=False)
    data.setup()
    assert data.train.batch[1].mean() > 20 and data.train.batch[0].max() > 600
