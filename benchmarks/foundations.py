"""Chapters 2 to 5: runs the experiments and writes the table of docs/chapters-2-5.md from their metrics.json.

    python benchmarks/foundations.py                       # the quick ones
    python benchmarks/foundations.py --long                # and those on the 70 000 digits
    python benchmarks/foundations.py --only xor boston     # some rows; the others keep what the table has
    python benchmarks/foundations.py --folder kept         # keep the runs; started again, it continues

Each row is one or more commands `runner ...`; a row with several seeds or splits shows the mean and the worst of them.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs" / "chapters-2-5.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
ONCE: list[list[str]] = [[]]
SEEDS = [[f"seed={seed}"] for seed in range(1, 4)]
# The settings of chapter 3 were chosen while looking at the splits 0 to 4, those of ionosphere at 0 to 9.
SPLITS = [[f"data.split_seed={split}"] for split in range(5, 10)]
SEEDS_AND_SPLITS = [[f"seed={seed}", f"data.split_seed={seed + 4}"] for seed in range(1, 6)]
IONOSPHERE = [[f"seed={seed}", f"data.split_seed={seed + 9}"] for seed in range(1, 6)]
REMEDIES = ("plain", "bias", "weights", "oversampling")

Runs = list[dict]


@dataclass
class Row:
    """A row of the table.

    Args:
        name: of the row, for `--only`.
        command: what is typed after `runner`; each value in braces, `a={x,y}`, is run, as in a shell.
        wanted: the figure to reach, in words.
        found: from the metrics of the runs to what the table shows and whether the figure is reached.
        variants: further overrides, one list for each run.
        long: whether it is left out without `--long`.
    """

    name: str
    command: str
    wanted: str
    found: Callable[[Runs], tuple[str, bool]]
    variants: list[list[str]] = field(default_factory=lambda: ONCE)
    long: bool = False

    def commands(self) -> list[list[str]]:
        """Every command of the row: all variants of the first choice in braces, then those of the next."""
        before, _, rest = self.command.partition("{")
        inside, _, after = rest.partition("}")
        return [
            f"{before}{choice}{after}".split() + variant for choice in inside.split(",") for variant in self.variants
        ]


def near(expected: dict[str, float], tolerance: float) -> Callable[[Runs], tuple[str, bool]]:
    """All values of one run are as expected."""

    def found(runs: Runs) -> tuple[str, bool]:
        values = {name: runs[0][name] for name in expected}
        shown = ", ".join(f"{name.split('/')[1]} = {value:.5f}" for name, value in values.items())
        return shown, all(abs(values[name] - value) <= tolerance for name, value in expected.items())

    return found


def at_least(floor: float, metric: str = "test/accuracy") -> Callable[[Runs], tuple[str, bool]]:
    """The mean over the runs is at least `floor`."""

    def found(runs: Runs) -> tuple[str, bool]:
        values = [run[metric] for run in runs]
        mean = sum(values) / len(values)
        worst = f" (worst {min(values):.4f})" if len(values) > 1 else ""
        return f"{metric.split('/')[1]} {mean:.4f}{worst}", mean >= floor

    return found


def below(ceiling: float) -> Callable[[Runs], tuple[str, bool]]:
    """The squared error of every run is below `ceiling`."""

    def found(runs: Runs) -> tuple[str, bool]:
        values = [run["test/mse"] for run in runs]
        return f"mse {sum(values) / len(values):.5f} (worst {max(values):.5f})", max(values) < ceiling

    return found


def boston(runs: Runs) -> tuple[str, bool]:
    """The net is below least squares on four splits of five."""
    names = {"mlp": "test/mse", "least squares": "test/linear_regression_mse", "svr": "test/svr_mse"}
    names["svr raw"] = "test/svr_raw_mse"
    shown = "; ".join(f"{name} " + " ".join(f"{run[key]:.1f}" for run in runs) for name, key in names.items())
    wins = sum(run["test/mse"] < run["test/linear_regression_mse"] for run in runs)
    return f"{shown}; below least squares on {wins} of {len(runs)}", wins >= 0.8 * len(runs)


def rare_classes(runs: Runs) -> tuple[str, bool]:
    """Weights with bias, and oversampling, are 3 points of balanced accuracy above plain."""
    values = [100 * run["test/balanced_accuracy"] for run in runs]
    seeds = len(values) // len(REMEDIES)
    means = {name: sum(values[seeds * n : seeds * (n + 1)]) / seeds for n, name in enumerate(REMEDIES)}
    shown = ", ".join(f"{name} {mean:.1f}" for name, mean in means.items())
    return f"balanced accuracy {shown}", min(means["weights"], means["oversampling"]) >= means["plain"] + 3


def all_learn(runs: Runs) -> tuple[str, bool]:
    """Every optimizer is below the loss of guessing among ten classes."""
    losses = {name.split("loss_")[1]: value for name, value in runs[0].items() if name.startswith("test/loss_")}
    ranked = sorted(losses, key=losses.get)
    shown = ", ".join(f"{name} {losses[name]:.3f}" for name in (*ranked[:2], *ranked[-2:]))
    return f"loss of {len(ranked)}, the best two and the worst two: {shown}", max(losses.values()) < math.log(10)


ROWS = [
    Row("quadratic", "experiment=quadratic", "w = 4.99999", near({"fit/w": 4.99999}, 2e-5)),
    Row("quadratic_step", "experiment=quadratic data.steps=1", "w = 0.1", near({"fit/w": 0.1}, 1e-6)),
    Row("quadratic_other", "experiment=quadratic data.coefficients=[1,-20,100]", "w = 9.99998",
        near({"fit/w": 9.99998}, 4e-5)),
    Row("breakfast", "experiment=ch02_breakfast", "150, 50, 100 +- 0.01",
        near({"fit/w0": 150, "fit/w1": 50, "fit/w2": 100}, 0.01)),
    Row("breakfast_online", "experiment=ch02_breakfast_online", "149.99999, 50.00005, 99.99998",
        near({"fit/w0": 149.99999, "fit/w1": 50.00005, "fit/w2": 99.99998}, 3e-5)),
    Row("xor", "experiment=ch02_xor", "4 of 4 with 8 units", at_least(1.0), SEEDS),
    Row("xor_perceptron", "model=perceptron data=xor optim.lr=0.05", "at most 3 of 4",
        lambda runs: (f"accuracy {runs[0]['test/accuracy']:.2f}", runs[0]["test/accuracy"] <= 0.75)),
    Row("ionosphere", "experiment=ch03_ionosphere", "accuracy 0.90", at_least(0.90), IONOSPHERE),
    Row("iris", "experiment=ch03_iris", "accuracy 0.94", at_least(0.94), SEEDS_AND_SPLITS),
    Row("boston", "experiment=ch03_boston", "mlp below least squares on 4 splits of 5", boston, SPLITS),
    Row("curve", "experiment=ch03_curve", "mse to the true sine below 0.01", below(0.01), SEEDS),
    Row("fraud", f"experiment=ch04_fraud_{{{','.join(REMEDIES)}}}", "weights and oversampling 3 points above plain",
        rare_classes, SEEDS),
    Row("har", "experiment=ch05_har", "accuracy 0.90, unseen people", at_least(0.90), SEEDS),
    Row("optimizers", "experiment=optimizers", "every loss below guessing, 2.303", all_learn),
    Row("softmax_5k", "experiment=ch04_softmax", "(0.92 on the 70 000)", at_least(0.88)),
    Row("mlp_5k", "experiment=ch04_mlp", "(0.975 on the 70 000)", at_least(0.93)),
    Row("cnn_5k", "experiment=ch05_cnn", "accuracy 0.97", at_least(0.97)),
    Row("softmax", "experiment=ch04_softmax data=mnist data.batch_size=10", "accuracy 0.92", at_least(0.92),
        long=True),
    Row("mlp", "experiment=ch04_mlp data=mnist data.batch_size=10", "accuracy 0.975", at_least(0.975), long=True),
    Row("cnn", "experiment=ch05_cnn data=mnist", "accuracy 0.990", at_least(0.990), long=True),
    Row("mnist_best", "experiment=ch05_mnist_best", "accuracy 0.995", at_least(0.995), long=True),
]  # fmt: skip


def run(command: list[str], folder: Path) -> dict:
    """Run the command in the folder, or resume it, and return what it wrote; a finished one is only read."""
    if not (folder / "metrics.json").exists():
        quiet = ["tracking.model=false", "tracking.system_metrics=false", f"hydra.run.dir={folder}", "resume=auto"]
        done = subprocess.run(
            [sys.executable, "-m", "runner.cli", *command, *quiet],
            cwd=folder.parent, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"runner {' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads((folder / "metrics.json").read_text())


def xor_success(units: int, activation: str, seeds: int = 100) -> str:
    """Share of initial weights from which a net with so many hidden units learns all four points.

    All nets are trained at once, as one stack of weights; what one of them does is what `experiment=ch02_xor` does.
    """
    import torch
    from torch.func import functional_call, stack_module_state, vmap
    from torch.nn.functional import cross_entropy

    from runner.models.mlp import MLP

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
    right = (answers(weights).argmax(dim=2) == target).all(dim=1)
    return f"{int(right.sum())} of {seeds}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="also the runs on the 70 000 digits")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="these rows alone")
    parser.add_argument("--folder", type=Path, help="where the runs are kept; without it they are not")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        missed = 0
        for row in ROWS:
            if row.name in arguments.only if arguments.only else arguments.long or not row.long:
                missed += not measured(row, folder)
    if not arguments.only or "xor_success" in arguments.only:
        nets = {"2 relu": (2, "relu"), "8 relu": (8, "relu"), "8 leaky_relu": (8, "leaky_relu")}
        found = ", ".join(f"{name} {xor_success(*net)}" for name, net in nets.items())
        write(
            "xor_success", f"initial weights from which exclusive or is learned | all, by 8 leaky_relu | {found} | | "
        )
    return 1 if missed else 0


def measured(row: Row, folder: Path) -> bool:
    """Run the row, write it into the document, and say whether the figure is reached."""
    runs = [run(command, folder / f"{row.name}-{number}") for number, command in enumerate(row.commands())]
    found, reached = row.found(runs)
    seconds = max(result["duration_seconds"] for result in runs)
    times = f" x {len(row.variants)}" if len(row.variants) > 1 else ""
    command = f"`runner {row.command}`{times}"
    write(row.name, f"{command} | {row.wanted} | {found} | {'yes' if reached else 'no'} | {seconds:.0f} s")
    return reached


def write(name: str, cells: str) -> None:
    """Put a row into the table of the document, which has the order of ROWS."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    rows = {match[1]: match[0] for match in re.finditer(r"^\| (\w+) \|.*$", table, flags=re.MULTILINE)}
    rows[name] = f"| {name} | {cells} |"
    print(rows[name], flush=True)
    head = "| row | command | figure to reach | reached | | time of a run |\n|---|---|---|---|---|---|\n"
    order = [*(row.name for row in ROWS), "xor_success"]
    table = head + "".join(f"{rows[name]}\n" for name in order if name in rows)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
