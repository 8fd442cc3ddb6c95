"""Classes that have an order, such as one to five stars: how far an answer is from the truth, in classes."""

import torch
from torch import Tensor
from torchmetrics import Metric


class ClassDistance(Metric):
    """Mean distance between the class that is answered and the true one: 0 = right, 1 = the class next to it."""

    higher_is_better = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add probabilities (B, K) and class numbers (B,)."""
        self.total += (probabilities.argmax(dim=1) - target).abs().sum()
        self.count += len(target)

    def compute(self) -> Tensor:
        return (self.total / self.count).float()
