"""Tf-idf with ridge regression: words and word pairs weighted by rarity, and a straight line through them.

Sources: Arthur Hoerl and Robert Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, Technometrics
12, 1970, doi:10.1080/00401706.1970.10488634; the weights are those of `runner.models.tfidf_linear`. The parts are
scikit-learn's, imported on first use because most runs do not need them.

Shape letters: N texts, V n-grams, D targets.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from runner.models.ranges import check_size
from runner.models.tfidf_linear import WORD


class TfidfRidge:
    """An estimator of numbers from raw texts.

    Args:
        num_targets: numbers to predict.
        vocab_size: of the data; the max_ngram times as many most frequent n-grams are kept.
        max_ngram: longest n-gram counted, in words: 1 = words, 2 = word pairs too.
        alpha: strength of the L2 penalty, above 0; larger is smoother.

    Raises:
        ValueError: a size below 1, or an alpha that is not above 0.
    """

    def __init__(self, num_targets: int, vocab_size: int, max_ngram: int = 2, alpha: float = 1.0):
        check_size(num_targets=num_targets, vocab_size=vocab_size, max_ngram=max_ngram)
        if alpha <= 0:
            raise ValueError(f"alpha must be above 0, received {alpha}")
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.num_targets, self.alpha = num_targets, alpha
        self.vectorizer = TfidfVectorizer(
            token_pattern=WORD, ngram_range=(1, max_ngram), sublinear_tf=True, max_features=vocab_size * max_ngram
        )
        self.weights = np.zeros((num_targets, 0))  # (D, V)
        self.bias = np.zeros(num_targets)  # (D,)

    def fit(self, X: Sequence[str], y: ArrayLike) -> "TfidfRidge":
        """Learn from N texts and their targets (N, D), or (N,) if there is one."""
        from sklearn.linear_model import Ridge

        values = np.asarray(y, dtype=np.float64).reshape(len(X), self.num_targets)  # (N, D)
        line = Ridge(alpha=self.alpha, random_state=0).fit(self.vectorizer.fit_transform(X), values)
        self.weights, self.bias = np.atleast_2d(line.coef_), np.atleast_1d(line.intercept_)
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Targets (N, D) of N texts."""
        return self.vectorizer.transform(X) @ self.weights.T + self.bias

    def state(self) -> dict:
        """The fitted values, in plain containers and tensors."""
        return {
            "ngrams": self.vectorizer.get_feature_names_out().tolist(),
            "idf": torch.tensor(self.vectorizer.idf_),  # (V,)
            "weights": torch.tensor(self.weights),  # (D, V)
            "bias": torch.tensor(self.bias),  # (D,)
        }

    def load_state(self, state: dict) -> None:
        """Become the estimator whose `state` this is."""
        self.vectorizer.vocabulary = {ngram: number for number, ngram in enumerate(state["ngrams"])}
        self.vectorizer.idf_ = state["idf"].numpy()
        self.weights, self.bias = state["weights"].numpy(), state["bias"].numpy()
