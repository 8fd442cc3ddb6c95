"""Thirty trials of a reduced textcnn, with and without pruning: pruning has to take less time and find as good a net.

    python benchmarks/sweep_pruning.py [trials=30]     (about six minutes on two quiet cores)

Both sweeps have the same space, sampler and seed. "As good" is within two standard errors of an accuracy on the 853
sentences of the validation split (about 0.03).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NOISE = 2 * (0.7 * 0.3 / 853) ** 0.5
COMMAND = ["sweep=textcnn", "sweep.metric=val/accuracy", "sweep.direction=max", "model=textcnn", "data=movie_reviews"]
COMMAND += ["trainer.max_epochs=8", "+trainer.limit_train_batches=60", "sweep.name=bench", "tracking.model=false"]
COMMAND += ["model.num_filters=choice(16,32)", "model.embed_dim=32"]


def run(pruner: str, trials: int) -> tuple[float, float, int]:
    """Return seconds, best validation accuracy and number of pruned jobs of one sweep."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "runner.cli",
            "-m",
            *COMMAND,
            f"sweep.pruner={pruner}",
            f"sweep.trials={trials}",
        ]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        state = json.loads((Path(folder) / "outputs/sweeps/bench/sweep.json").read_text(encoding="utf-8"))
    jobs = list(state["jobs"].values())
    assert len(jobs) == trials and {job["status"] for job in jobs} <= {"finished", "pruned"}, jobs
    best = max(job["values"]["val/accuracy"] for job in jobs if job["status"] == "finished")
    return seconds, best, sum(job["status"] == "pruned" for job in jobs)


def main() -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    trials = int(dict(argument.split("=", 1) for argument in sys.argv[1:]).get("trials", 30))
    found = {}
    for pruner in ("none", "median"):
        seconds, best, pruned = found[pruner] = run(pruner, trials)
        print(
            f"pruner={pruner}: {seconds:.0f} s, best val/accuracy {best:.3f}, {pruned} of {trials} pruned", flush=True
        )
    (slow, plain, _), (quick, best, _) = found["none"], found["median"]
    return 0 if quick < slow and best > plain - NOISE else 1


if __name__ == "__main__":
    sys.exit(main())
