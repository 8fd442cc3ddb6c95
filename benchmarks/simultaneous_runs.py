"""Eight runs started at the same instant in an empty folder, the first ones ever there: do all of them finish?

    python benchmarks/simultaneous_runs.py --runs 8

Prints the status of every run in the one database they share. Takes one to two minutes on two cores.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SETTINGS = ["model=mlp", "data=iris", "trainer=debug"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="simultaneous-") as place:
        folder = Path(place)
        # Their own cache as well: they prepare their data for the first time, too.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "RUNNER_CACHE": str(folder / "cache")}
        started = time.monotonic()
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "runner.cli", *SETTINGS, f"seed={seed}"],
                cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for seed in range(count)
        ]  # fmt: skip
        outputs = [process.communicate()[0] for process in processes]
        seconds = time.monotonic() - started
        for process, output in zip(processes, outputs, strict=True):
            if process.returncode:
                print(f"exit code {process.returncode}:\n{output}")
        with sqlite3.connect(folder / "outputs" / "mlflow.db") as database:
            found = Counter(status for (status,) in database.execute("SELECT status FROM runs"))
        database.close()
        files = len(list(folder.glob("outputs/*/*/metrics.json")))
    print(f"{count} runs at once: {dict(found)} in one database, {files} metrics.json, {seconds:.0f} s")
    return 0 if found == {"FINISHED": count} and files == count else 1


if __name__ == "__main__":
    sys.exit(main())
