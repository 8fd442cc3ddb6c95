"""Every model on every dataset: the possible pairs train (trainer=debug), the others are refused.

    python benchmarks/all_pairs.py [--models textcnn vae] [--data imdb]

Trainings are forked from one process that has imported everything. Datasets from archives are fetched once.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from omegaconf import OmegaConf

from runner.config.catalog import Catalog, folders
from runner.config.command import check
from runner.config.compose import compose
from runner.training.train import train


def trained(overrides: list[str], folder: Path) -> str:
    """Train in a forked process; return what it wrote if it failed, else ""."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            with open(folder / "output.txt", "w") as out:
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
            cfg = compose(overrides)
            OmegaConf.resolve(cfg)
            train(cfg, folder)
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    failed = os.waitpid(pid, 0)[1] != 0 or not (folder / "metrics.json").exists()
    return (folder / "output.txt").read_text()[-1500:] if failed else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    catalog = Catalog(folders())
    parser.add_argument("--models", nargs="+", default=catalog.choices("model"))
    parser.add_argument("--data", nargs="+", default=catalog.choices("data"))
    arguments = parser.parse_args()
    own = {data for data in arguments.data if "???" in catalog.node("data", data).values()}  # wait for the user's file
    print(f"left out, since they need a file of the user: {', '.join(sorted(own)) or 'none'}")
    possible = failures = refused = 0
    slowest = 0.0
    for model in arguments.models:
        readable = set(catalog.readable(model))
        for data in sorted(set(arguments.data) - own):
            overrides = [f"model={model}", f"data={data}", "trainer=debug"]
            if data in readable:
                possible += 1
                with tempfile.TemporaryDirectory() as folder:
                    output = trained(overrides, Path(folder))
                print(f"{'FAILED' if output else 'trained'}  {' '.join(overrides)}\n{output}".rstrip(), flush=True)
                failures += bool(output)
            else:
                began = time.perf_counter()
                problems = check(overrides)
                slowest = max(slowest, time.perf_counter() - began)
                refused += bool(problems)
                if not problems:
                    failures += 1
                    print(f"NOT REFUSED  {' '.join(overrides)}", flush=True)
    print(f"{possible} pairs trained, {refused} refused (the slowest check took {slowest:.2f} s), {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
