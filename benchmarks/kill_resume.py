"""Kill -9 a run at a random instant, resume it, and compare it bit for bit with an uninterrupted run.

    python benchmarks/kill_resume.py --kills 50 --models textcnn char_rnn gan

Prints one line for each model: how many of the resumed runs ended with the same weights and the same metrics. Trainings
are forked from one process that has imported everything, so that a kill hits the training and not the imports.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from omegaconf import DictConfig, OmegaConf

from runner.config.compose import compose
from runner.training.train import train

SMALL = {
    "mlp": ["trainer.max_epochs=12"],
    "textcnn": [
        "model.embed_dim=32",
        "model.num_filters=16",
        "+trainer.limit_train_batches=60",
        "trainer.max_epochs=4",
    ],
    "char_rnn": [
        "data.max_chars=60000",
        "model.hidden_dim=64",
        "task.sample_len=20",
        "+trainer.limit_train_batches=40",
        "trainer.max_epochs=4",
    ],
    "gan": ["model.hidden_dims=[32, 64]", "+trainer.limit_train_batches=50", "trainer.max_epochs=4"],
}
COMMON = ["+trainer.limit_val_batches=4", "+trainer.limit_test_batches=4", "trainer.accelerator=cpu",
          "callbacks.checkpoint.every_n_steps=9"]  # fmt: skip
TIMES = ("duration_seconds", "train/samples_per_second", "best_checkpoint")


def settings(model: str) -> DictConfig:
    """The whole configuration of a small training of `model`."""
    cfg = compose([f"model={model}", *SMALL[model], *COMMON])
    OmegaConf.resolve(cfg)
    return cfg


def start(cfg: DictConfig, folder: Path) -> int:
    """Train in a forked process; return its number."""
    folder.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with open(folder / "output.txt", "a") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        train(cfg, folder)
        code = 0
    finally:
        os._exit(code)


def finish(pid: int) -> int:
    """Wait for the process; return 0 if it ended well."""
    return os.waitpid(pid, 0)[1]


def outcome(folder: Path) -> tuple[bytes, dict]:
    """The weights, byte for byte, and the metrics of a finished run, times left out."""
    metrics = json.loads((folder / "metrics.json").read_text())
    return (folder / "model" / "weights.safetensors").read_bytes(), {k: v for k, v in metrics.items() if k not in TIMES}


def trial(cfg: DictConfig, folder: Path, seconds: float) -> bool:
    """Kill a run `seconds` after its start, resume it until it has finished; return whether the kill hit it running."""
    pid = start(cfg, folder)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    killed = finish(pid) != 0
    resumed = OmegaConf.merge(cfg, {"resume": "this"})
    if finish(start(resumed, folder)) != 0:
        raise RuntimeError(f"the resumed run failed:\n{(folder / 'output.txt').read_text()[-3000:]}")
    return killed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--models", nargs="+", default=["textcnn", "char_rnn", "gan"], choices=SMALL)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    instants = random.Random(arguments.seed)
    place = Path(tempfile.mkdtemp(prefix="kill-resume-"))
    failures = 0
    for model in arguments.models:
        cfg = settings(model)
        began = time.monotonic()
        if finish(start(cfg, place / model / "whole")) != 0:
            raise RuntimeError((place / model / "whole" / "output.txt").read_text()[-3000:])
        length = time.monotonic() - began
        weights, metrics = outcome(place / model / "whole")
        same = hits = 0
        for number in range(arguments.kills):
            folder = place / model / str(number)
            hits += trial(cfg, folder, instants.uniform(0.1, 1.0) * length)
            if outcome(folder) == (weights, metrics):
                same += 1
                shutil.rmtree(folder)
            else:
                print(f"  differs: {folder}", flush=True)
        failures += arguments.kills - same
        print(f"{model}: {same} of {arguments.kills} resumed runs equal the uninterrupted one "
              f"({hits} were killed while running; {length:.1f} s each)", flush=True)  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
