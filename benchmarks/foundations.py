"""Chapters 2 to 5: runs the experiments and writes the table of docs/chapters-2-5.md from their metrics.json.

    python benchmarks/foundations.py                       # the quick ones, about 20 minutes on two cores
    python benchmarks/foundations.py --long                # and those on the 70 000 digits, several hours
    python benchmarks/foundations.py --only xor boston     # some rows; the others keep what the table has

Each row is one or more commands `runner ...`; a row with several seeds or splits shows the mean and the worst of them.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs" / "chapters-2-5.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
SEEDS = [[f"seed={seed}"] for seed in range(1, 6)]
SPLITS = [[f"data.split_seed={split}"] for split in range(5)]

Runs = list[dict]


@dataclass
class Row:
    """A row of the table.

    Args:
        name: of the row, for `--only`.
        command: what is typed behind `runner`.
        wanted: the figure to reach, in words.
        found: from the metrics of the runs to what the table shows and whether the figure is reached.
        variants: further overrides, one list for each run.
        long: whether it is left out without `--long`.
    """

    name: str
    command: list[str]
    wanted: str
    found: Callable[[Runs], tuple[str, bool]]
    variants: list[list[str]]
    long: bool = False


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


ROWS = [
    Row("quadratic", ["experiment=quadratic"], "w = 4.99999", near({"fit/w": 4.99999}, 2e-5), [[]]),
    Row("quadratic_step", ["experiment=quadratic", "data.steps=1"], "w = 0.1", near({"fit/w": 0.1}, 1e-6), [[]]),
    Row(
        "quadratic_other",
        ["experiment=quadratic", "data.coefficients=[1,-20,100]"],
        "w = 9.99998",
        near({"fit/w": 9.99998}, 4e-5),
        [[]],
    ),
    Row(
        "breakfast",
        ["experiment=ch02_breakfast"],
        "150, 50, 100",
        near({"fit/w0": 150, "fit/w1": 50, "fit/w2": 100}, 0.01),
        [[]],
    ),
    Row(
        "breakfast_online",
        ["experiment=ch02_breakfast_online"],
        "149.99999, 50.00005, 99.99998",
        near({"fit/w0": 149.99999, "fit/w1": 50.00005, "fit/w2": 99.99998}, 3e-5),
        [[]],
    ),
    Row("xor", ["experiment=ch02_xor"], "4 of 4 with 8 units", at_least(1.0), SEEDS),
    Row("xor_perceptron", ["model=perceptron", "data=xor", "optim.lr=0.05"], "at most 0.75",
        lambda runs: (f"accuracy {runs[0]['test/accuracy']:.2f}", runs[0]["test/accuracy"] <= 0.75), [[]]),
    Row("ionosphere", ["experiment=ch03_ionosphere"], "accuracy 0.90", at_least(0.90), SEEDS),
    Row("iris", ["experiment=ch03_iris"], "accuracy 0.94", at_least(0.94), SEEDS),
    Row("boston", ["experiment=ch03_boston"], "mlp below least squares on 4 splits of 5", boston, SPLITS),
    Row("curve", ["experiment=ch03_curve"], "mse to the true sine below 0.01", below(0.01), SEEDS[:3]),
    Row("har", ["experiment=ch05_har"], "accuracy 0.90, unseen people", at_least(0.90), SEEDS[:3]),
    Row("softmax_5k", ["experiment=ch04_softmax"], "(0.92 on the 70 000)", at_least(0.88), [[]]),
    Row("mlp_5k", ["experiment=ch04_mlp"], "(0.975 on the 70 000)", at_least(0.93), [[]]),
    Row("cnn_5k", ["experiment=ch05_cnn"], "accuracy 0.97", at_least(0.97), [[]]),
    Row("softmax", ["experiment=ch04_softmax", "data=mnist", "data.batch_size=10"], "accuracy 0.92", at_least(0.92),
        [[]], long=True),
    Row("mlp", ["experiment=ch04_mlp", "data=mnist", "data.batch_size=10"], "accuracy 0.975", at_least(0.975), [[]],
        long=True),
    Row("cnn", ["experiment=ch05_cnn", "data=mnist", "data.batch_size=100"], "accuracy 0.990", at_least(0.990), [[]],
        long=True),
    Row("mnist_best", ["experiment=ch05_mnist_best"], "accuracy 0.995", at_least(0.995), [[]], long=True),
]  # fmt: skip


def run(command: list[str], folder: Path) -> dict:
    """Run the command in a folder of its own and return what it wrote."""
    quiet = ["tracking.model=false", "tracking.system_metrics=false", f"hydra.run.dir={folder / 'run'}"]
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli", *command, *quiet], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"runner {' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads((folder / "run" / "metrics.json").read_text())


def xor_success(units: int, seeds: int = 100) -> str:
    """Share of initial weights from which a net with so many hidden units learns all four points."""
    import torch
    from torch.nn.functional import cross_entropy

    from runner.models.mlp import MLP

    corners, target = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
    right = 0
    for seed in range(seeds):
        torch.manual_seed(seed)
        net = MLP(2, 2, [units])
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            cross_entropy(net(corners), target).backward()
            optimizer.step()
        right += bool((net(corners).argmax(1) == target).all())
    return f"{right} of {seeds}"


def rows_of(text: str) -> dict[str, str]:
    """The rows that the table has, by name."""
    table = text.split(BEGIN)[1].split(END)[0]
    return {match[1]: match[0] for match in re.finditer(r"^\| (\w+) \|.*$", table, flags=re.MULTILINE)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="also the runs on the 70 000 digits")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="these rows alone")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    text = DOCUMENT.read_text(encoding="utf-8")
    rows, missed = rows_of(text), 0
    for row in ROWS:
        if row.name not in arguments.only if arguments.only else row.long and not arguments.long:
            continue
        with tempfile.TemporaryDirectory() as folder:
            runs = []
            for number, variant in enumerate(row.variants):
                (Path(folder) / str(number)).mkdir()
                runs.append(run([*row.command, *variant], Path(folder) / str(number)))
        found, reached = row.found(runs)
        missed += not reached
        seconds = max(result["duration_seconds"] for result in runs)
        times = f" x {len(runs)}" if len(runs) > 1 else ""
        command = f"`runner {' '.join(row.command)}`{times}"
        verdict = "yes" if reached else "no"
        rows[row.name] = f"| {row.name} | {command} | {row.wanted} | {found} | {verdict} | {seconds:.0f} s |"
        print(rows[row.name], flush=True)
        write(text, rows)
    if not arguments.only or "xor_success" in arguments.only:
        found = f"2 units: {xor_success(2)}; 8 units: {xor_success(8)}"
        rows["xor_success"] = f"| xor_success | initial weights from which exclusive or is learnt | | {found} | | |"
        print(rows["xor_success"])
        write(text, rows)
    return 1 if missed else 0


def write(text: str, rows: dict[str, str]) -> None:
    """Put the rows into the document, in the order of ROWS."""
    head = "| row | command | figure to reach | reached | | time of a run |\n|---|---|---|---|---|---|\n"
    names = [*(row.name for row in ROWS), "xor_success"]
    table = head + "".join(f"{rows[name]}\n" for name in names if name in rows)
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
