"""Eight runs started at the same instant in an empty folder, the first ones ever there: do all of them finish?

    python benchmarks/simultaneous_runs.py --runs 8
    python benchmarks/simultaneous_runs.py --runs 16 --uri postgresql://me@localhost/empty

Prints the status of every run in the one database they share. Takes one to two minutes on two cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from mlflow import MlflowClient

from runner.tracking.uri import with_credentials

SETTINGS = ["model=mlp", "data=iris", "trainer=debug"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--uri", help="a database or a server, empty before; without it a file in the empty folder")
    given = parser.parse_args()
    count, place_of_runs = given.runs, [f"tracking.uri={given.uri}"] if given.uri else []
    with tempfile.TemporaryDirectory(prefix="simultaneous-") as place:
        folder = Path(place)
        # Their own cache as well: they prepare their data for the first time, too.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "RUNNER_CACHE": str(folder / "cache")}
        started = time.monotonic()
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "runner.cli", *SETTINGS, *place_of_runs, f"seed={seed}"],
                cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for seed in range(count)
        ]  # fmt: skip
        outputs = [process.communicate()[0] for process in processes]
        seconds = time.monotonic() - started
        for process, output in zip(processes, outputs, strict=True):
            if process.returncode:
                print(f"exit code {process.returncode}:\n{output}")
        client = MlflowClient(with_credentials(given.uri) if given.uri else f"sqlite:///{folder}/outputs/mlflow.db")
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = Counter(run.info.status for run in client.search_runs(experiments))
        files = len(list(folder.glob("outputs/*/*/metrics.json")))
    print(f"{count} runs at once: {dict(found)} in one database, {files} metrics.json, {seconds:.0f} s")
    return 0 if found == {"FINISHED": count} and files == count else 1


if __name__ == "__main__":
    sys.exit(main())
