"""Linear regression is least squares."""

import numpy as np
from values import through_a_file

from runner.models.linear_regression import LinearRegression


def test_linear_regression_is_least_squares(tmp_path) -> None:
    draw = np.random.default_rng(0)
    features, targets = draw.normal(size=(50, 4)), draw.normal(size=(50, 2))
    fitted = LinearRegression(in_features=4, num_targets=2).fit(features, targets)
    loaded = LinearRegression(in_features=4, num_targets=2)
    loaded.load_state(through_a_file(fitted.state(), tmp_path / "state.pt"))
    with_bias = np.column_stack([features, np.ones(50)])
    solution, *_ = np.linalg.lstsq(with_bias, targets)
    np.testing.assert_allclose(fitted.predict(features), with_bias @ solution)
    np.testing.assert_array_equal(loaded.predict(features), fitted.predict(features))


def test_linear_regression_takes_one_target_as_a_column_or_not() -> None:
    features = np.arange(6.0)[:, None]
    estimator = LinearRegression(in_features=1, num_targets=1)
    for targets in (3 * features + 1, (3 * features + 1)[:, 0]):
        np.testing.assert_allclose(estimator.fit(features, targets).predict([[10.0]]), [[31.0]])
