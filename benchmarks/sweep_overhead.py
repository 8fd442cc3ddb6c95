"""Wall time of a 10-job sweep compared with the sum of its training times: what a sweep costs on top. The bar is 1.15.

    python benchmarks/sweep_overhead.py [OVERRIDE ...]     (about two minutes on two quiet cores)

The training time of a job is `duration_seconds` of its metrics.json: from reading the data to the last figure. The wall
time is that of the whole command, from the start of Python to its end.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOBS = 10
BAR = 1.15
COMMAND = ["model=textcnn", "data=movie_reviews", "trainer.max_epochs=4", f"seed=range(0,{JOBS})", "sweep.name=bench"]


def main() -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "runner.cli", "-m", *COMMAND, *sys.argv[1:]]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - begun
        files = Path(folder).glob("outputs/sweeps/bench/*/metrics.json")
        seconds = [json.loads(file.read_text(encoding="utf-8"))["duration_seconds"] for file in files]
    ratio = wall / sum(seconds)
    print(f"{len(seconds)} jobs: {wall:.1f} s in all, {sum(seconds):.1f} s of training, ratio {ratio:.3f} (bar {BAR})")
    return 0 if len(seconds) == JOBS and ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
