"""From Enter to the first training step, against the imports alone; and `runner --help` against a bare Hydra program's.

    python benchmarks/startup.py [--rounds 5]

Both commands of a pair take turns; printed are medians and the median ratio. The data has been prepared once before.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STOP = """
import os
from pytorch_lightning import Callback

class FirstStep(Callback):
    def on_train_batch_start(self, *arguments):
        os._exit(0)
"""
BARE = """
import hydra

@hydra.main(version_base="1.3", config_path=None)
def program(cfg):
    pass

program()
"""


def seconds(command: list[str], folder: Path) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def compare(name: str, ours: list[str], theirs: list[str], folder: Path, rounds: int) -> None:
    for command in (ours, theirs):
        seconds(command, folder)
    pairs = [(seconds(ours, folder), seconds(theirs, folder)) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{name}: {a:.2f} s against {b:.2f} s, ratio {statistics.median(x / y for x, y in pairs):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    runner = [sys.executable, "-m", "runner.cli"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "stop.py").write_text(STOP)
        (folder / "bare.py").write_text(BARE)
        compare("--help", [*runner, "--help"], [sys.executable, "bare.py", "--help"], folder, rounds)
        imports = [sys.executable, "-c", "import torch, pytorch_lightning, mlflow"]
        for choice in (["model=textcnn", "data=movie_reviews"], ["model=mlp", "data=iris"]):
            first_step = [*runner, *choice, "+callbacks.stop._target_=stop.FirstStep"]
            compare(f"first step, {' '.join(choice)}", first_step, imports, folder, rounds)


if __name__ == "__main__":
    main()
