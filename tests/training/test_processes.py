"""Two processes train what one process with the same global batch trains, also inside a sweep."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import CHARACTERS, result

COMMON = ["model=mlp", "data=iris", "trainer.max_epochs=7", "trainer.accelerator=cpu", "tracking.model=false"]
TWO = ["trainer.devices=2", "trainer.strategy=ddp", "data.batch_size=8"]  # 8 rows in each
ONE = ["data.batch_size=16"]
GPT = ["model=gpt", "model.embed_dim=16", "model.num_layers=2", *CHARACTERS[:2], "trainer.gradient_clip_val=0.5",
        "task.sample_len=5", "optim=adamw"]  # fmt: skip


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
def test_two_nodes_equal_one_process(tmp_path: Path, one_process: dict[str, float]) -> None:
    """Two torchruns, each with one process, find each other by address, as on two machines."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
               "--master-addr", "127.0.0.1", "--master-port", str(port)]  # fmt: skip
    settings = [*COMMON, *TWO, "trainer.devices=1", "+trainer.num_nodes=2", "hydra.run.dir=run"]
    nodes = [
        subprocess.Popen(
            [*command, "--node-rank", str(node), "-m", "runner.cli", *settings],
            cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for node in range(2)
    ]  # fmt: skip
    printed = [node.communicate()[0].decode() for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], printed
    assert metrics(tmp_path / "run") == pytest.approx(one_process, abs=1e-5)
    assert [path.name for path in (tmp_path / "outputs").glob("*-*")] == []


@pytest.mark.slow
def test_two_processes_inside_a_sweep(tmp_path: Path, one_process: dict[str, float]) -> None:
    run(tmp_path, "-m", *COMMON, *TWO, "seed=1,2", "hydra.sweep.dir=sweep")
    assert metrics(tmp_path / "sweep" / "0") == pytest.approx(one_process, abs=1e-5)
    assert metrics(tmp_path / "sweep" / "1") != pytest.approx(one_process, abs=1e-5)


@pytest.mark.slow
def test_two_processes_that_share_the_weights_equal_one(tmp_path: Path, no_figures) -> None:
    """Also after resuming, with tied weights and clipped gradients; samples and the test need the whole net."""
    result([*GPT, "data.batch_size=16", "trainer.max_epochs=2"], tmp_path / "one")
    shared = [*GPT, "data.batch_size=8", "trainer=sharded", "trainer.accelerator=cpu", "tracking.model=false"]
    run(tmp_path, *shared, "trainer.max_epochs=1", "hydra.run.dir=two")
    run(tmp_path, f"resume={(tmp_path / 'two' / 'run_id').read_text().strip()}", "trainer.max_epochs=2")
    assert metrics(tmp_path / "two") == pytest.approx(metrics(tmp_path / "one"), rel=1e-4)
    assert json.loads((tmp_path / "two" / "metrics.json").read_text())["best_epoch"] == 2
