"""Whole sweeps through the command: killed, interrupted, with jobs that fail, in workers, through submitit."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from runner.tracking.find import runs_with_tag

ROOT = Path(__file__).parents[2]
COMMON = ["model=mlp", "data=iris", "model.hidden_dims=[8]", "tracking.system_metrics=false", "tracking.model=false"]
PATIENCE = 240  # seconds; on a quiet machine a tenth


class Command:
    """`runner -m ...` in a separate folder, with one thread, from this checkout."""

    def __init__(self, folder: Path):
        self.folder = folder
        path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
        self.env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "RUNNER_CACHE": str(folder / "cache")}

    def start(self, *arguments: str) -> subprocess.Popen:
        with open(self.folder / "output.txt", "ab") as output:
            command = [sys.executable, "-m", "runner.cli", *arguments]
            return subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=output, stderr=output)

    def run(self, *arguments: str) -> tuple[int, str]:
        code = self.start(*arguments).wait(PATIENCE)
        return code, self.text

    @property
    def text(self) -> str:
        return (self.folder / "output.txt").read_text()

    @property
    def sweep(self) -> Path:
        return self.folder / "outputs/sweeps/it"

    def jobs(self) -> dict[str, dict]:
        return json.loads((self.sweep / "sweep.json").read_text())["jobs"]

    def wait_for(self, process: subprocess.Popen, ready) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert process.poll() is None and time.monotonic() < deadline, self.text
            time.sleep(0.02)

    def children(self) -> list:
        parents = runs_with_tag(None, self.folder / "outputs", "runner.sweep_folder", str(self.sweep))
        assert len(parents) == 1, parents
        self.parent = parents[0]
        return runs_with_tag(None, self.folder / "outputs", "mlflow.parentRunId", parents[0].id)


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)


@pytest.mark.slow
def test_a_killed_sweep_is_resumed_and_tells_of_jobs_that_fail(command):
    jobs = ["trainer.max_epochs=4", "model.hidden_dims=[4],[0]", "seed=1,2", "sweep.name=it"]
    common = [word for word in COMMON if not word.startswith("model.")]
    killed = command.start("-m", *common, *jobs)
    command.wait_for(killed, (command.sweep / "0/metrics.json").exists)
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    code, text = command.run("-m", "resume_sweep=last")
    assert code == 1, text
    children = command.children()
    assert Counter(run.status for run in children) == {"FINISHED": 2, "FAILED": 2}
    assert sorted(run.tags["runner.sweep_job"] for run in children) == ["0", "1", "2", "3"]
    assert command.parent.status == "FAILED" and command.parent.tags["runner.jobs"] == "2 finished, 2 failed"
    best = [run for run in children if run.tags.get("runner.best") == "true"]
    assert [run.id for run in best] == [command.parent.tags["runner.best_run"]]
    assert "job 2 failed: model (runner.models.mlp.MLP): hidden_dims must be at least 1, received 0" in text
    assert "next:   runner -m resume_sweep=it   (2 of 4 jobs are left)" in text
    overrides = (command.sweep / "1/overrides.yaml").read_text().split()
    assert "seed=2" in overrides and not any("resume" in text or "sweep" in text for text in overrides)

    before = {number: (command.sweep / number / "metrics.json").stat().st_mtime_ns for number in "01"}
    code, text = command.run("-m", *common, *jobs)
    assert code == 2 and "there is a sweep in" in text
    assert before == {number: (command.sweep / number / "metrics.json").stat().st_mtime_ns for number in "01"}


@pytest.mark.slow
def test_an_interrupted_sweep_is_resumed_in_workers(command):
    interrupted = command.start(
        "-m", *COMMON, "trainer.max_epochs=60", "callbacks.early_stopping.patience=null", "seed=1,2", "sweep.name=it"
    )
    command.wait_for(interrupted, (command.sweep / "0/checkpoints/last.ckpt").exists)
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(PATIENCE) == 130
    assert "runner: resume with: runner -m resume_sweep=it" in command.text
    assert command.jobs()["0"]["status"] == "killed"
    children = command.children()
    assert command.parent.status == "KILLED"
    first = {run.tags["runner.sweep_job"]: run for run in children}["0"]
    assert first.status == "KILLED"

    code, text = command.run("resume_sweep=it", "sweep.jobs=2")
    assert code == 0, text
    assert [run.status for run in command.children()] == ["FINISHED", "FINISHED"]
    assert {run.id for run in command.children()} >= {first.id} and command.parent.status == "FINISHED"
    log = (command.sweep / "0/runner.log").read_text()
    assert log.count("epoch 60/60") == 1 and log.count("epoch 1/60") == 1  # it continued where it was
    assert (command.sweep / "worker-1.log").exists() and (command.sweep / "table.md").exists()


@pytest.mark.slow
def test_optuna_through_the_command(command):
    sweep = ["sweep=mlp", "sweep.trials=3", "+sweep.pruner_options.n_startup_trials=1", "sweep.name=it"]
    code, text = command.run("-m", *COMMON, *sweep, "trainer.max_epochs=2", "optim.lr=tag(log,interval(1e-5,1))")
    assert code == 0, text
    assert sorted(command.jobs()) == ["0", "1", "2"]
    statuses = Counter(job["status"] for job in command.jobs().values())
    expected = Counter({"FINISHED": statuses["finished"]}) + Counter({"KILLED": statuses["pruned"]})
    assert Counter(run.status for run in command.children()) == expected and statuses["finished"] >= 1
    for run in command.children():
        assert (run.status == "KILLED") == (run.tags.get("runner.pruned") == "true")


@pytest.mark.slow
def test_submitit_runs_the_jobs(command):
    code, text = command.run(
        "-m", *COMMON, "seed=1,2", "trainer.max_epochs=2", "sweep.name=it", "hydra/launcher=submitit_local"
    )
    assert code == 0, text
    assert [run.status for run in command.children()] == ["FINISHED", "FINISHED"]
    assert (command.sweep / ".submitit").is_dir() and (command.sweep / "1/metrics.json").exists()


@pytest.mark.slow
def test_a_sweep_on_ray_is_interrupted_and_resumed(command, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    epochs = ["trainer.max_epochs=60", "callbacks.early_stopping.patience=null"]
    interrupted = command.start("-m", *COMMON, *epochs, "seed=1,2", "sweep.name=it", "hydra/launcher=ray")
    command.wait_for(interrupted, (command.sweep / "0/checkpoints/last.ckpt").exists)
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(PATIENCE) == 130
    code, text = command.run("-m", "resume_sweep=it")
    assert code == 0, text
    assert [run.status for run in command.children()] == ["FINISHED", "FINISHED"]
    log = (command.sweep / "0/runner.log").read_text()
    assert log.count("epoch 60/60") == 1 and log.count("epoch 1/60") == 1  # it continued where it was


def test_the_plugin_imports_nothing_heavy():
    code = """
import sys
from hydra.core.plugins import Plugins
assert "hydra_plugins.runner_sweeper" in Plugins.instance().get_stats().modules_import_time
heavy = ("torch", "mlflow", "optuna", "pytorch_lightning", "runner")
print([name for name in sys.modules if name.split(".")[0] in heavy])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert done.stdout.strip() == "[]"
