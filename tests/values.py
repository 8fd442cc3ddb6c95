"""Values that the tests of nets compute with."""

import numpy as np
import torch

STEPS, ROWS, INPUTS, UNITS = 7, 4, 3, 5
LENGTHS = torch.tensor([7, 1, 4, 6])
CLOSE = {"rtol": 0, "atol": 1e-6}


def sentences(lengths: list[int], vocab_size: int) -> torch.Tensor:
    """Random words, then padding: int64 (B, T)."""
    tokens = torch.randint(1, vocab_size, (len(lengths), max(lengths)))
    return tokens * (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def strongest_windows(words: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Max over time of relu(w.x + b), one window at a time: words (T, E), weight (N, E, w), bias (N,) ->
    (N,)."""
    width = weight.shape[2]
    if len(words) < width:
        words = np.concatenate([words, np.zeros((width - len(words), words.shape[1]))])
    scores = []
    for start in range(len(words) - width + 1):
        window = words[start : start + width]  # (w, E)
        scores.append([max(0.0, (window.T * weight[n]).sum() + bias[n]) for n in range(len(weight))])
    return np.max(scores, axis=0)


def through_a_file(state: dict, path) -> dict:
    torch.save(state, path)
    return torch.load(path, weights_only=True)


def random_inputs(kind: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(ROWS, STEPS, INPUTS, dtype=kind)


def real(lengths: torch.Tensor) -> torch.Tensor:
    return (torch.arange(STEPS) < lengths[:, None]).unsqueeze(2)  # (B, T, 1)
