"""Systems that a user has written: each is a folder outside the package, trained by the command."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from pages import environment, runner
from recorded_runs import inside
from small_runs import KillAt, outcome, resumed, stopped

from runner.cli import run_verb


class System:
    """A copy of a folder next to this file, and a run of it.

    Args:
        source: the folder.
        folder: where the copy goes.
        command: the settings of the run.
    """

    def __init__(self, source: Path, folder: Path, command: list[str]):
        self.source = source
        self.folder = shutil.copytree(source, folder)
        self.command = ["--config-dir", "conf", *command]
        self.log = runner(self.folder, *self.command, "trainer.accelerator=cpu")
        (metrics,) = self.folder.glob("outputs/*/*/metrics.json")
        self.run = metrics.parent

    @property
    def config(self) -> DictConfig:
        return OmegaConf.load(self.run / "config.yaml")

    @contextmanager
    def here(self) -> Iterator[None]:
        """What the command line does for a user who is in the folder."""
        code, path = os.environ.get("RUNNER_CODE"), list(sys.path)
        os.environ["RUNNER_CODE"] = str(self.folder)
        sys.path.append(str(self.folder))
        try:
            with inside(self.folder):
                yield
        finally:
            sys.path[:] = path
            os.environ.pop("RUNNER_CODE") if code is None else os.environ.update(RUNNER_CODE=code)

    def runner(self, *words: str) -> str:
        """What `runner WORDS` prints, in this process; a UserError is raised."""
        printed = StringIO()
        with self.here(), redirect_stdout(printed):
            code = run_verb(list(words))
        assert code == 0, printed.getvalue()
        return printed.getvalue()

    def killed_and_resumed(self, folder: Path, steps: int) -> tuple[bytes, dict]:
        """Weights and metrics of the same run, killed after so many steps and resumed from its last checkpoint."""
        cfg = self.config
        cfg.callbacks.checkpoint.every_n_steps = 2
        with self.here():
            assert stopped(cfg, folder, KillAt("on_train_batch_start", steps))
            resumed(cfg, folder)
        return self.outcome(folder)

    def typed_killed_and_resumed(self, folder: Path) -> tuple[bytes, dict]:
        """The same, by commands in a copy of the folder, the first of which is killed after its first checkpoint."""
        shutil.copytree(self.source, folder)
        words = [*self.command, "trainer.accelerator=cpu", "callbacks.checkpoint.every_n_steps=2"]
        process = subprocess.Popen([sys.executable, "-m", "runner.cli", *words], cwd=folder, env=environment())
        while not list(folder.glob("outputs/*/*/checkpoints/last.ckpt")):
            assert process.poll() is None, "it has ended before its first checkpoint"
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert not list(folder.glob("outputs/*/*/metrics.json")), "it has ended before the kill"
        runner(folder, "--config-dir", "conf", "resume=last")
        (metrics,) = folder.glob("outputs/*/*/metrics.json")
        return self.outcome(metrics.parent)

    def outcome(self, folder: Path | None = None) -> tuple[bytes, dict]:
        """Weights and metrics of a run."""
        weights, metrics = outcome(folder or self.run)
        return weights, metrics | {"run_id": None}


@pytest.fixture(scope="module")
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> System:
    """The system that a test module is about: the folder `reverse` for `test_reverse.py`, trained by its `COMMAND`."""
    name = Path(request.module.__file__).stem.removeprefix("test_")
    return System(Path(__file__).with_name(name), tmp_path_factory.mktemp(name) / name, request.module.COMMAND)
