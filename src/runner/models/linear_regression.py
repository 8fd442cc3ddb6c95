"""Linear regression by ordinary least squares, in one closed-form step.

Source: Legendre 1805; Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, section
3.2, equation 3.6. The solution is scikit-learn's, imported on first use because most runs do not need it.

Shape letters: N examples, F features, D targets.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike

from runner.models.ranges import check_size


class LinearRegression:
    """An estimator of real values: weights and bias of the smallest squared error.

    Args:
        in_features: numbers that describe one example.
        num_targets: numbers to predict.

    Raises:
        ValueError: a size below 1; in `fit`, data of another size.
    """

    def __init__(self, in_features: int, num_targets: int):
        check_size(in_features=in_features, num_targets=num_targets)
        from sklearn.linear_model import LinearRegression as LeastSquares

        self.in_features = in_features
        self.num_targets = num_targets
        self.solver = LeastSquares()

    def fit(self, X: ArrayLike, y: ArrayLike) -> "LinearRegression":
        """Learn from features (N, F) and targets (N, D), or (N,) if there is one target."""
        X = np.asarray(X, dtype=np.float64)  # (N, F)
        y = np.asarray(y, dtype=np.float64).reshape(len(X), -1)  # (N, D)
        if X.shape[1] != self.in_features or y.shape[1] != self.num_targets:
            raise ValueError(
                f"linear_regression was made for {self.in_features} features and {self.num_targets} targets, "
                f"received {X.shape[1]} and {y.shape[1]}"
            )
        self.solver.fit(X, y)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Targets (N, D) of features (N, F)."""
        return self.solver.predict(np.asarray(X, dtype=np.float64))

    def state(self) -> dict:
        """The fitted values, in plain containers and tensors."""
        return {
            "weights": torch.tensor(self.solver.coef_),  # (D, F)
            "bias": torch.tensor(self.solver.intercept_),  # (D,)
        }

    def load_state(self, state: dict) -> None:
        """Become the estimator whose `state` this is."""
        self.solver.coef_ = state["weights"].numpy()
        self.solver.intercept_ = state["bias"].numpy()
