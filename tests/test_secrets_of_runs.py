"""What a run leaves (folder, database, artifacts, model) holds no password, token or `.env` of the user."""

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from omegaconf import OmegaConf
from programs import ROOT

from runner.config.command import check
from runner.errors import UserError
from runner.inference.predictor import Predictor

TOKEN, PASSWORD, IN_A_FILE = "planted-token-4711", "planted-password-4712", "planted-value-4713"
SMALL = ["model=mlp", "model.hidden_dims=[4]", "trainer.max_epochs=1", "trainer.accelerator=cpu",
         "tracking.system_metrics=false", "hydra.run.dir=outputs/run"]  # fmt: skip


def runner(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")} | environment
    command = [sys.executable, "-m", "runner.cli", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def holding(folder: Path, *secrets: str) -> list[Path]:
    """Return the files in a folder that hold one of the secrets."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)]


def test_a_run_leaves_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"PASSWORD={IN_A_FILE}\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    table = "\n".join(["a,b,y", *(f"{i % 7},{i % 5},{'xy'[i % 2]}" for i in range(60))])
    (tmp_path / "table.csv").write_text(table)
    typed = ["data=csv", "data.label=y", "data.path=${oc.env:TABLE}", "tracking.name=${oc.env:A_TOKEN}"]
    done = runner(tmp_path, *SMALL, *typed, "tracking.experiment=${tracking.name}", A_TOKEN=TOKEN, TABLE="table.csv")
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    outputs = tmp_path / "outputs"
    assert holding(outputs, TOKEN, IN_A_FILE) == []
    assert (outputs / "mlflow.db").exists() and list(outputs.rglob("artifacts/model/weights.safetensors"))
    assert OmegaConf.to_container(OmegaConf.load(outputs / "run" / "config.yaml"))["data"]["path"] == "${oc.env:TABLE}"
    assert "tracking" not in OmegaConf.load(outputs / "run" / "model" / "config.yaml")
    with pytest.raises(UserError, match=r"^data\.path: the environment variable TABLE is not set: export TABLE="):
        Predictor(outputs / "run" / "model")
    monkeypatch.setenv("TABLE", str(tmp_path / "table.csv"))
    assert "label" in next(Predictor(outputs / "run" / "model")([{"a": 1, "b": 2}]))


class Unauthorized(BaseHTTPRequestHandler):
    """A tracking server that refuses everybody."""

    seen: ClassVar[set[str | None]] = set()

    def do_GET(self) -> None:
        self.seen.add(self.headers.get("Authorization"))
        self.send_response(401)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Unauthorized) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_credentials_of_the_tracker_are_used_but_not_written(tmp_path: Path, server: str) -> None:
    done = runner(tmp_path, *SMALL, "data=iris", f"tracking.uri=http://me:{PASSWORD}@{server}")
    assert done.returncode == 2
    assert Unauthorized.seen == {"Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()}
    assert PASSWORD not in done.stdout + done.stderr
    assert "are not recorded; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.stderr
    assert "Does it want a user name and a password?" in done.stderr
    assert holding(tmp_path, PASSWORD) == []
    assert f"tracking.uri=http://{server}" in (tmp_path / "outputs" / "run" / "overrides.yaml").read_text()


@pytest.mark.parametrize(
    "setting",
    [
        f"data.path=https://me:{PASSWORD}@host/x.csv",
        f"data.path='https://host/x.csv?token={PASSWORD}'",
        f"tracking.uri='postgresql://host/db?password={PASSWORD}'",
    ],
)
def test_other_settings_with_a_password_are_refused(setting: str) -> None:
    path = [] if "data.path" in setting else ["data.path=x.csv"]
    problems = check(["model=mlp", "data=csv", "data.label=y", *path, setting])
    key = setting.split("=")[0]
    assert any(f"{key}=" in one and "holds a user name, a password or a token" in one for one in problems)
    assert not any(PASSWORD in one for one in problems), problems
