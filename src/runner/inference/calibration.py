"""How far the probabilities of a classifier can be believed, and the temperature that makes them so.

Source: Chuan Guo, Geoff Pleiss, Yu Sun and Kilian Weinberger, On Calibration of Modern Neural Networks, ICML 2017,
arXiv:1706.04599: all logits are divided by one number, which is fitted on the validation split. The order of the
classes stays as it is, and with it the accuracy.

Shape letters: N rows, K classes.
"""

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

BINS = 15
HOTTEST = 50.0  # the temperature is between 1 / HOTTEST and HOTTEST
SMALLEST = 1e-12  # a probability of zero has no logarithm


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities (N, K) of logits that are divided by a temperature.

    Logarithms of probabilities are logits but for a number that is the same for all classes.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_loss(probabilities: np.ndarray, truths: np.ndarray) -> float:
    """Return the mean negative logarithm of the probability (N, K) of the true classes (N,)."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truths)), truths], SMALLEST)).mean())


def fitted_temperature(probabilities: np.ndarray, truths: np.ndarray) -> float:
    """Return the temperature with the smallest loss on probabilities (N, K) of rows with true classes (N,)."""
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return log_loss(tempered(probabilities, float(np.exp(logarithm))), truths)

    reach = float(np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=(-reach, reach), method="bounded").x))


def calibration(probabilities: np.ndarray, truths: np.ndarray) -> dict[str, float]:
    """Return expected calibration error, loss, Brier score and accuracy of probabilities (N, K)."""
    believed = torch.from_numpy(probabilities), torch.from_numpy(np.asarray(truths, dtype=np.int64))
    error = multiclass_calibration_error(*believed, num_classes=probabilities.shape[1], n_bins=BINS, norm="l1")
    right = np.eye(probabilities.shape[1])[truths]
    return {
        "ece": float(error),
        "loss": log_loss(probabilities, truths),
        "brier": float(((probabilities - right) ** 2).sum(axis=1).mean()),
        "accuracy": float((probabilities.argmax(axis=1) == truths).mean()),
    }
