"""Running means of named scalars, over batches of unequal size and over all processes of a run."""

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Mean(NamedTuple):
    """A mean over something other than the examples of a batch, such as its tokens, and their number."""

    value: Tensor
    weight: Tensor | int


Scalars = dict[str, Tensor | Mean]  # of one batch; a plain tensor is a mean over the examples of the batch


def value_of(scalar: Tensor | Mean) -> Tensor:
    """The mean itself."""
    return scalar.value if isinstance(scalar, Mean) else scalar


def less(scalar: Tensor | Mean, part: Tensor | float) -> Tensor | Mean:
    """The same mean without a part of its value."""
    return Mean(scalar.value - part, scalar.weight) if isinstance(scalar, Mean) else scalar - part


class RunningMeans:
    """Means of named scalars, each weighted by what it counts; nothing is computed until they are needed."""

    def __init__(self) -> None:
        self.pending: list[dict[str, Mean]] = []
        self.sums: dict[str, float] = {}
        self.weights: dict[str, float] = {}

    def add(self, scalars: Scalars, rows: int) -> None:
        """Add the scalars of a batch with this number of examples."""
        means = {name: scalar if isinstance(scalar, Mean) else Mean(scalar, rows) for name, scalar in scalars.items()}
        self.pending.append({name: Mean(mean.value.detach(), mean.weight) for name, mean in means.items()})

    def close(self) -> dict[str, float]:
        """Add what is pending to the sums, in one transfer from the device, and return the means of that part."""
        if not self.pending:
            return {}
        names, values, weights = self.table()
        sums = torch.where(weights > 0, values * weights, 0.0).sum(dim=0)  # (names,)
        totals = weights.sum(dim=0)  # (names,)
        self.pending = []
        for name, total, weight in zip(names, sums.tolist(), totals.tolist(), strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + total
            self.weights[name] = self.weights.get(name, 0.0) + weight
        means = zip(names, (sums / totals).tolist(), totals.tolist(), strict=True)
        return {name: mean for name, mean, weight in means if weight}

    def waiting(self) -> dict[str, float]:
        """Plain sums of what is pending: finite if all of it is."""
        if not self.pending:
            return {}
        names, values, _ = self.table()
        return dict(zip(names, values.sum(dim=0).tolist(), strict=True))

    def table(self) -> tuple[list[str], Tensor, Tensor]:
        """Names, values and weights of what is pending, both (N, names), float64, on the CPU."""
        names = list(self.pending[0])
        means = [mean for batch in self.pending for mean in (batch[name] for name in names)]
        device = means[-1].value.device  # values restored from a checkpoint are on the CPU
        values = torch.stack([mean.value.to(device, torch.float32) for mean in means]).cpu()
        weights = torch.tensor([float(mean.weight) for mean in means], dtype=torch.float64)
        return names, values.double().view(-1, len(names)), weights.view(-1, len(names))

    def pop(self) -> dict[str, float]:
        """Return the means over all processes since the last call, and start again."""
        self.close()
        names = list(self.sums)
        both = torch.tensor([*self.sums.values(), *self.weights.values()], dtype=torch.float64)
        self.sums, self.weights = {}, {}
        sums, weights = sum_over_processes(both).view(2, -1).tolist()
        means = zip(names, sums, weights, strict=True)
        return {name: total / weight for name, total, weight in means if weight}

    def state_dict(self) -> dict:
        """Everything, pending or not: a checkpoint changes nothing, not even the order of additions."""
        names, values, weights = self.table() if self.pending else ([], None, None)
        pending = {"names": names, "values": values, "weights": weights}
        return {"sums": dict(self.sums), "weights": dict(self.weights), "pending": pending}

    def load_state_dict(self, state: dict) -> None:
        names, values, weights = (state["pending"][key] for key in ("names", "values", "weights"))
        rows = [] if not names else zip(values, weights, strict=True)
        self.pending = [dict(zip(names, map(Mean, *row), strict=True)) for row in rows]
        self.sums, self.weights = dict(state["sums"]), dict(state["weights"])


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up `values` (on the CPU) over all processes of the run."""
    if not several_processes():
        return values
    on_gpu = torch.distributed.get_backend() == "nccl"
    values = values.cuda() if on_gpu else values
    torch.distributed.all_reduce(values)
    return values.cpu()


def of_all_processes(value: T) -> list[T]:
    """Return what each process of the run calls with, in the order of their ranks."""
    values = [value]
    if several_processes():
        values *= torch.distributed.get_world_size()
        torch.distributed.all_gather_object(values, value)
    return values


def several_processes() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
