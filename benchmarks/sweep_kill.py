"""A sweep of 12 jobs is killed (kill -9) twice and resumed; then it is compared with one that was left alone.

    python benchmarks/sweep_kill.py [jobs=1] [method=grid]     (about three minutes on two cores)

Both have to end with one parent run, 12 finished children, and the same table. With `method=optuna` the values are
chosen by Optuna, whose storage has to survive as well (jobs that it prunes count as done); with `jobs=2` two jobs run
in parallel.
"""

import csv
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

JOBS = 12
COMMON = ["model=mlp", "data=iris", "trainer.max_epochs=8", "tracking.system_metrics=false", "sweep.name=same"]
METHODS = {
    "grid": ["model.dropout=0.0,0.3", "seed=1,2,3,4,5,6"],
    "random": ["sweep=random", f"sweep.trials={JOBS}", "optim.lr=tag(log,interval(1e-4,1e-1))"],
    "optuna": ["sweep=optuna", f"sweep.trials={JOBS}", "optim.lr=tag(log,interval(1e-4,1e-1))"],
}


def start(folder: Path, overrides: list[str]) -> subprocess.Popen:
    with open(folder / "output.txt", "ab") as output:
        command = [sys.executable, "-m", "runner.cli", "-m", *overrides]
        return subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)


def ended_jobs(folder: Path) -> int:
    return len(list((folder / "outputs/sweeps/same").glob("*/metrics.json")))


def table(folder: Path) -> list[dict[str, str]]:
    """The jobs with all they measured, without what differs between any two runs: ids and times."""
    with open(folder / "outputs/sweeps/same/jobs.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    timed = ("run_id", "duration_seconds", "train/samples_per_second")
    return [{name: value for name, value in row.items() if name not in timed} for row in rows]


def statuses(folder: Path) -> tuple[Counter, int]:
    """How often the children have each status, and the number of parents."""
    with sqlite3.connect(folder / "outputs/mlflow.db") as database:
        children = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId'"
        rows = database.execute(f"SELECT status FROM runs WHERE run_uuid IN ({children})")
        found = Counter(status for (status,) in rows)
        parents = database.execute(f"SELECT count(*) FROM runs WHERE run_uuid NOT IN ({children})").fetchone()[0]
    return found, parents


def main() -> int:
    settings = {"jobs": "1", "method": "grid"} | dict(argument.split("=", 1) for argument in sys.argv[1:])
    overrides = [*COMMON, f"sweep.jobs={settings['jobs']}", *METHODS[settings["method"]]]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    random.seed(0)
    with tempfile.TemporaryDirectory() as left_alone, tempfile.TemporaryDirectory() as killed:
        begun = time.perf_counter()
        assert start(Path(left_alone), overrides).wait() == 0, (Path(left_alone) / "output.txt").read_text()
        print(f"left alone: {time.perf_counter() - begun:.0f} s")
        for kill, target in enumerate((3, 8)):
            process = start(Path(killed), overrides if kill == 0 else ["resume_sweep=same"])
            while ended_jobs(Path(killed)) < target:
                assert process.poll() is None, (Path(killed) / "output.txt").read_text()
                time.sleep(0.02)
            time.sleep(random.uniform(0.0, 1.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"killed after {ended_jobs(Path(killed))} jobs: {dict(statuses(Path(killed))[0])}")
        assert start(Path(killed), ["resume_sweep=same"]).wait() == 0, (Path(killed) / "output.txt").read_text()
        found, parents = statuses(Path(killed))
        same = table(Path(killed)) == table(Path(left_alone))
        ends = {"finished": "FINISHED", "pruned": "KILLED"}
        expected = Counter(ends[row["status"]] for row in table(Path(left_alone)))
    print(f"in the end: {dict(found)}, {parents} parent, the table is {'the same' if same else 'ANOTHER'}")
    return 0 if found == expected and found.total() == JOBS and parents == 1 and same else 1


if __name__ == "__main__":
    sys.exit(main())
