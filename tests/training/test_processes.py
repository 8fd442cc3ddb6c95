"""Two processes train what one process with the same global batch trains, also inside a sweep."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMON = ["model=mlp", "data=iris", "trainer.max_epochs=7", "trainer.accelerator=cpu", "tracking.model=false"]
TWO = ["trainer.devices=2", "trainer.strategy=ddp", "data.batch_size=8"]  # 8 rows in each
ONE = ["data.batch_size=16"]


def run(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "runner.cli", *arguments]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def metrics(folder: Path) -> dict[str, float]:
    found = json.loads((folder / "metrics.json").read_text())
    return {name: value for name, value in found.items() if "/" in name and "second" not in name and "best" not in name}


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    folder = tmp_path_factory.mktemp("one")
    run(folder, *COMMON, *ONE, "hydra.run.dir=run")
    return metrics(folder / "run")


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path, one_process: dict[str, float]) -> None:
    """56 steps in two processes; they make one folder and one run."""
    run(tmp_path, *COMMON, *TWO, "hydra.run.dir=run")
    assert metrics(tmp_path / "run") == pytest.approx(one_process, abs=1e-5)
    assert [path.name for path in (tmp_path / "outputs").glob("*-*")] == []
    assert len((tmp_path / "run" / "run_id").read_text().strip()) == 32


@pytest.mark.slow
def test_two_processes_inside_a_sweep(tmp_path: Path, one_process: dict[str, float]) -> None:
    run(tmp_path, "-m", *COMMON, *TWO, "seed=1,2", "hydra.sweep.dir=sweep")
    assert metrics(tmp_path / "sweep" / "0") == pytest.approx(one_process, abs=1e-5)
    assert metrics(tmp_path / "sweep" / "1") != pytest.approx(one_process, abs=1e-5)
