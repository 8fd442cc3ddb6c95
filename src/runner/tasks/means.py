"""Running means of named scalars, over batches of unequal size and over all processes of a run."""

import torch
from torch import Tensor


class RunningMeans:
    """Means of named scalars weighted by the size of each batch; nothing is computed until they are asked for."""

    def __init__(self):
        self.pending: list[tuple[dict[str, Tensor], int]] = []
        self.sums: dict[str, float] = {}
        self.weight = 0

    def add(self, scalars: dict[str, Tensor], weight: int) -> None:
        self.pending.append(({name: value.detach() for name, value in scalars.items()}, weight))

    def close(self) -> dict[str, float]:
        """Take what is pending into the sums, in one transfer from the device, and return its means alone."""
        if not self.pending:
            return {}
        names = list(self.pending[0][0])
        weights = torch.tensor([weight for _, weight in self.pending], dtype=torch.float64)  # (N,)
        sums = weights @ self.values(names).double()  # (names,)
        total = float(weights.sum())
        self.pending = []
        self.weight += int(total)
        for name, value in zip(names, sums.tolist(), strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + value
        return {name: value / total for name, value in zip(names, sums.tolist(), strict=True)}

    def waiting(self) -> dict[str, float]:
        """Plain sums of what is pending: finite if all of it is."""
        if not self.pending:
            return {}
        names = list(self.pending[0][0])
        return dict(zip(names, self.values(names).double().sum(dim=0).tolist(), strict=True))

    def values(self, names: list[str]) -> Tensor:
        """What is pending, (N, names), on the CPU."""
        found = [scalars[name] for scalars, _ in self.pending for name in names]
        device = found[-1].device  # what a checkpoint has brought lies on the CPU
        return torch.stack([value.to(device, torch.float32) for value in found]).cpu().view(-1, len(names))

    def pop(self) -> dict[str, float]:
        """Return the means over all processes since the last call, and start anew."""
        self.close()
        names, totals = list(self.sums), torch.tensor([*self.sums.values(), self.weight], dtype=torch.float64)
        self.sums, self.weight = {}, 0
        *sums, weight = sum_over_processes(totals).tolist()
        return {name: value / weight for name, value in zip(names, sums, strict=True)}

    def state_dict(self) -> dict:
        """Everything, pending or not: a checkpoint changes nothing, not even the order of additions."""
        names = list(self.pending[0][0]) if self.pending else []
        values, weights = self.values(names) if names else None, [weight for _, weight in self.pending]
        pending = {"names": names, "values": values, "weights": weights}
        return {"sums": dict(self.sums), "weight": self.weight, "pending": pending}

    def load_state_dict(self, state: dict) -> None:
        names, values, weights = (state["pending"][key] for key in ("names", "values", "weights"))
        rows = values if weights else []
        self.pending = [(dict(zip(names, row, strict=True)), weight) for row, weight in zip(rows, weights, strict=True)]
        self.sums, self.weight = dict(state["sums"]), state["weight"]


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up `values` (on the CPU) over all processes of the run."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    on_gpu = torch.distributed.get_backend() == "nccl"
    values = values.cuda() if on_gpu else values
    torch.distributed.all_reduce(values)
    return values.cpu()
