"""Small problems that the tests of optimizers share: a net with three groups of points, and a curved valley."""

import torch
from torch import nn

START = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)


def problem() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A small net and three groups of points."""
    torch.manual_seed(0)
    x, y = torch.randn(90, 4), torch.arange(90) % 3
    x[torch.arange(90), y] += 2
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), x, y


def steps(
    net: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, count: int
) -> list[float]:
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def valley(w: torch.Tensor) -> torch.Tensor:
    """A function whose gradient is known at any point."""
    return 0.5 * (w**2 * torch.tensor([1.0, 20.0, 0.1])).sum() + w.prod()


def gradient(w: torch.Tensor) -> torch.Tensor:
    w = w.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(valley(w), w)
    return found
