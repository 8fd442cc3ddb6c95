"""Support vector regression with radial basis functions.

Source: Drucker, Burges, Kaufman, Smola and Vapnik, Support Vector Regression Machines, NeurIPS 1996; Smola and
Schölkopf, A tutorial on support vector regression, Statistics and Computing 14, 2004,
doi:10.1023/B:STCO.0000035301.49549.88. The solver is scikit-learn's, imported on first use because most runs do not
need it.

Shape letters: N examples, F features, D targets, S support vectors.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike

from runner.models.ranges import check_size


class SVR:
    """An estimator of real values, one machine a target: errors below `epsilon` cost nothing.

    Args:
        in_features: numbers that describe one example.
        num_targets: numbers to predict.
        c: price of an error beyond epsilon, above 0; smaller is smoother.
        gamma: how quickly the influence of an example fades with the squared distance, above 0.
        epsilon: width of the tube of errors that cost nothing, in the targets' own units, at least 0.

    Raises:
        ValueError: a size below 1 or a setting out of range; in `fit`, data of another size.
    """

    def __init__(self, in_features: int, num_targets: int, c: float = 100.0, gamma: float = 0.1, epsilon: float = 0.1):
        check_size(in_features=in_features, num_targets=num_targets)
        if c <= 0 or gamma <= 0 or epsilon < 0:
            raise ValueError(f"c and gamma must be above 0, epsilon at least 0, received {c}, {gamma}, {epsilon}")
        self.in_features = in_features
        self.num_targets = num_targets
        self.c, self.gamma, self.epsilon = c, gamma, epsilon
        self.machines: list[tuple[np.ndarray, np.ndarray, float]] = []  # support vectors, their weights, bias

    def fit(self, X: ArrayLike, y: ArrayLike) -> "SVR":
        """Learn from features (N, F) and targets (N, D), or (N,) if there is one target."""
        from sklearn.svm import SVR as Machine

        X = np.asarray(X, dtype=np.float64)  # (N, F)
        y = np.asarray(y, dtype=np.float64).reshape(len(X), -1)  # (N, D)
        if X.shape[1] != self.in_features or y.shape[1] != self.num_targets:
            raise ValueError(
                f"svr was made for {self.in_features} features and {self.num_targets} targets, "
                f"received {X.shape[1]} and {y.shape[1]}"
            )
        self.machines = []
        for target in y.T:
            machine = Machine(kernel="rbf", C=self.c, gamma=self.gamma, epsilon=self.epsilon).fit(X, target)
            self.machines.append((machine.support_vectors_, machine.dual_coef_[0], float(machine.intercept_[0])))
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Targets (N, D) of features (N, F)."""
        X = np.asarray(X, dtype=np.float64)
        return np.stack([self.kernel(X, support) @ weights + bias for support, weights, bias in self.machines], axis=1)

    def kernel(self, X: np.ndarray, support: np.ndarray) -> np.ndarray:
        """exp(-gamma * squared distance) of features (N, F) and support vectors (S, F): (N, S)."""
        squared = (X**2).sum(1)[:, None] + (support**2).sum(1) - 2 * X @ support.T
        return np.exp(-self.gamma * squared.clip(min=0))

    def state(self) -> dict:
        """The fitted values, in plain containers and tensors."""
        return {
            "machines": [
                {"support": torch.tensor(support), "weights": torch.tensor(weights), "bias": bias}
                for support, weights, bias in self.machines
            ]
        }

    def load_state(self, state: dict) -> None:
        """Become the estimator whose `state` this is."""
        self.machines = [
            (machine["support"].numpy(), machine["weights"].numpy(), machine["bias"]) for machine in state["machines"]
        ]
