"""From how many initial weights exclusive or is learned by one hidden layer: what docs/chapter-2.md says of it.

    python benchmarks/xor_success.py

All nets are trained at once, as one stack of weights; what one of them does is what `experiment=ch02_xor` does.
"""

import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from runner.models.mlp import MLP

NETS = ((2, "relu"), (8, "relu"), (8, "leaky_relu"))


def successes(units: int, activation: str, seeds: int = 100) -> int:
    """Return how many of so many nets with these hidden units are right on all four points after 300 steps."""
    corners, target = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
    nets = []
    for seed in range(1, seeds + 1):
        torch.manual_seed(seed)
        nets.append(MLP(2, 2, [units], activation))
    weights, _ = stack_module_state(nets)
    answers = vmap(lambda own: functional_call(nets[0], own, (corners,)))
    optimizer = torch.optim.Adam(weights.values(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        logits = answers(weights)  # (seeds, 4, 2)
        cross_entropy(logits.flatten(0, 1), target.repeat(seeds), reduction="sum").div(4).backward()
        optimizer.step()
    return int((answers(weights).argmax(dim=2) == target).all(dim=1).sum())


if __name__ == "__main__":
    for units, activation in NETS:
        print(f"{units} {activation}: {successes(units, activation)} of 100")
