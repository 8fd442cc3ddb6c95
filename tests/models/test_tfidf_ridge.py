"""Tf-idf with ridge regression against scikit-learn's pipeline."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from values import through_a_file

from runner.models.tfidf_ridge import TfidfRidge

TEXTS = ["a good film", "good good plot", "bad film", "a bad plot", "so so", "so so film"]
STARS = np.array([[5.0], [5.0], [1.0], [1.5], [3.0], [3.5]])


@pytest.mark.parametrize("targets", [STARS, np.hstack([STARS, -2 * STARS])], ids=["one number", "two numbers"])
def test_tfidf_ridge_is_the_pipeline_of_scikit_learn(targets, tmp_path) -> None:
    fitted = TfidfRidge(num_targets=targets.shape[1], vocab_size=100, alpha=0.5).fit(TEXTS, targets)
    loaded = TfidfRidge(num_targets=targets.shape[1], vocab_size=100)
    loaded.load_state(through_a_file(fitted.state(), tmp_path / "state.pt"))
    vectorizer = TfidfVectorizer(token_pattern=r"\b\w+\b", ngram_range=(1, 2), sublinear_tf=True)
    pipeline = make_pipeline(vectorizer, Ridge(alpha=0.5)).fit(TEXTS, targets)
    asked = [*TEXTS, "a good plot", "never seen", ""]
    np.testing.assert_allclose(fitted.predict(asked), pipeline.predict(asked).reshape(9, -1))
    np.testing.assert_array_equal(loaded.predict(asked), fitted.predict(asked))


def test_one_number_may_come_without_its_own_dimension() -> None:
    estimator = TfidfRidge(num_targets=1, vocab_size=100).fit(TEXTS, STARS[:, 0])
    assert estimator.predict(TEXTS).shape == (6, 1)


def test_a_penalty_is_above_0() -> None:
    with pytest.raises(ValueError, match="alpha must be above 0, received 0"):
        TfidfRidge(num_targets=1, vocab_size=100, alpha=0)
