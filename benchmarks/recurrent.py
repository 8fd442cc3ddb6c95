"""Recurrent layers of this package against torch's own, at the same sizes, on one CPU thread.

    python benchmarks/recurrent.py [--rounds 40] [--batch 32] [--steps 60] [--units 128] [--threads 1]

A round runs every layer forwards and backwards once, one after the other in changing order, so that a machine whose
speed drifts treats them alike; what is printed are medians of the times and of the ratios within a round. Meant for
lstm / nn.LSTM and gru / nn.GRU: at least 0.95 of the speed; peephole / nn.LSTM: at least 0.5. The plain steps, which
only variational dropout and export use, are there for comparison. Takes half a minute.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from runner.models.layers.cells import CELLS, step_by_step
from runner.models.layers.recurrent import Recurrent

BARS = {"lstm": ("nn.LSTM", 0.95), "gru": ("nn.GRU", 0.95), "peephole": ("nn.LSTM", 0.5)}


def training_step(forward: Callable[[], Tensor], weights: list[nn.Parameter]) -> Callable[[], None]:
    """Forward and backward pass, as in training: the gradients begin at None."""

    def run() -> None:
        for weight in weights:
            weight.grad = None
        forward().sum().backward()

    return run


def candidates(batch: int, steps: int, units: int) -> dict[str, Callable[[], None]]:
    inputs = torch.randn(batch, steps, units).requires_grad_()  # an embedding before it needs its gradient
    swapped = inputs.detach().transpose(0, 1).contiguous().requires_grad_()  # (T, B, I)
    found = {}
    for name, kind in (("nn.RNN", nn.RNN), ("nn.LSTM", nn.LSTM), ("nn.GRU", nn.GRU)):
        net = kind(units, units, batch_first=True)
        found[name] = training_step(lambda net=net: net(inputs)[0], [*net.parameters(), inputs])
    for name in CELLS:
        net = Recurrent(units, units, name)
        found[name] = training_step(lambda net=net: net(inputs)[0], [*net.parameters(), inputs])
    for name in ("lstm", "peephole", "coupled"):
        cell = CELLS[name](units, units)
        run = training_step(lambda cell=cell: step_by_step(cell, swapped, None), [*cell.parameters(), swapped])
        found[f"{name}, plain steps"] = run
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, usual in (("rounds", 40), ("batch", 32), ("steps", 60), ("units", 128), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    runs = candidates(given.batch, given.steps, given.units)
    for run in runs.values():
        run(), run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(given.rounds):
        random.shuffle(order)
        for name in order:
            start = time.perf_counter()
            runs[name]()
            times[name].append(time.perf_counter() - start)
    print(
        f"batch {given.batch}, {given.steps} steps, {given.units} units, {given.rounds} rounds, {given.threads} threads"
    )
    print(f"{'':24}{'ms':>8}{'speed vs nn.LSTM':>24}")
    for name in runs:
        print(f"{name:24}{1e3 * statistics.median(times[name]):8.1f}{ratio(times, name, 'nn.LSTM'):24.2f}")
    for name, (other, bar) in BARS.items():
        found = ratio(times, name, other)
        print(f"{name} / {other}: {found:.2f}, wanted {bar}: {'reached' if found >= bar else 'missed'}")


def ratio(times: dict[str, list[float]], name: str, other: str) -> float:
    """Median over the rounds of how many times as fast one layer is as another."""
    return statistics.median(theirs / ours for ours, theirs in zip(times[name], times[other], strict=True))


if __name__ == "__main__":
    main()
