"""Tf-idf with a linear classifier: words and word pairs weighted by rarity, and logistic regression.

Source: Salton and Buckley, Term-weighting approaches in automatic text retrieval, 1988,
doi:10.1016/0306-4573(88)90021-0; word pairs as in Wang and Manning, Baselines and Bigrams, ACL 2012.
Sublinear term frequency 1 + log(tf). The parts are scikit-learn's, imported on first use because most runs do
not need them.

Shape letters: N texts, V n-grams, K classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from runner.models.ranges import check_size

WORD = r"\b\w+\b"  # scikit-learn's own pattern skips words of one letter, which are frequent in Chinese texts


class TfidfLinear:
    """An estimator of classes from raw texts.

    Args:
        num_classes: classes to choose from.
        vocab_size: of the data; the max_ngram times as many most frequent n-grams are kept.
        max_ngram: longest n-gram counted, in words: 1 = words, 2 = word pairs too.
        c: inverse strength of the L2 penalty, above 0; smaller is smoother.

    Raises:
        ValueError: a size below 1, or a c that is not above 0.
    """

    def __init__(self, num_classes: int, vocab_size: int, max_ngram: int = 2, c: float = 5.0):
        check_size(num_classes=num_classes, vocab_size=vocab_size, max_ngram=max_ngram)
        if c <= 0:
            raise ValueError(f"c must be above 0, received {c}")
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        self.num_classes = num_classes
        self.vectorizer = TfidfVectorizer(
            token_pattern=WORD, ngram_range=(1, max_ngram), sublinear_tf=True, max_features=vocab_size * max_ngram
        )
        self.classifier = LogisticRegression(C=c, max_iter=1000)

    def fit(self, X: Sequence[str], y: ArrayLike) -> "TfidfLinear":
        """Learn from N texts and their class numbers (N,)."""
        self.classifier.fit(self.vectorizer.fit_transform(X), y)
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """Probabilities (N, K) of N texts; a class that no training text had gets 0."""
        probabilities = np.zeros((len(X), self.num_classes))
        known = self.classifier.predict_proba(self.vectorizer.transform(X))  # (N, classes seen in training)
        probabilities[:, self.classifier.classes_] = known
        return probabilities

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Class numbers (N,) of N texts."""
        return self.predict_proba(X).argmax(axis=1)

    def state(self) -> dict:
        """The fitted values, in plain containers and tensors."""
        return {
            "ngrams": self.vectorizer.get_feature_names_out().tolist(),
            "idf": torch.tensor(self.vectorizer.idf_),  # (V,)
            "classes": torch.tensor(self.classifier.classes_),  # (K,)
            "weights": torch.tensor(self.classifier.coef_),  # (K, V), or (1, V) of two classes
            "bias": torch.tensor(self.classifier.intercept_),
        }

    def load_state(self, state: dict) -> None:
        """Become the estimator whose `state` this is."""
        self.vectorizer.vocabulary = {ngram: number for number, ngram in enumerate(state["ngrams"])}
        self.vectorizer.idf_ = state["idf"].numpy()
        self.classifier.classes_ = state["classes"].numpy()
        self.classifier.coef_ = state["weights"].numpy()
        self.classifier.intercept_ = state["bias"].numpy()
