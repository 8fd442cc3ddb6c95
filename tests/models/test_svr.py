"""Support vector regression is scikit-learn's."""

import numpy as np
import pytest
from sklearn.svm import SVR as Machine

from runner.models.svr import SVR


def test_svr_predicts_as_scikit_learn_before_and_after_a_journey():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(80, 3)), draw.normal(size=(80, 2))
    ours = SVR(3, 2, c=10, gamma=0.3, epsilon=0.2).fit(x, y)
    theirs = [Machine(C=10, gamma=0.3, epsilon=0.2).fit(x, column).predict(x) for column in y.T]
    np.testing.assert_allclose(ours.predict(x), np.stack(theirs, axis=1), atol=1e-8)
    other = SVR(3, 2, gamma=0.3)
    other.load_state(ours.state())
    np.testing.assert_array_equal(other.predict(x), ours.predict(x))
    with pytest.raises(ValueError, match="received 4 and 2"):
        ours.fit(draw.normal(size=(80, 4)), y)
    with pytest.raises(ValueError, match="above 0"):
        SVR(3, 1, gamma=0)
