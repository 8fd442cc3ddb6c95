"""A wheel built from the repository works in an empty folder, with the configuration inside it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    program = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_configuration_is_inside(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"runner/conf/{path.relative_to(ROOT / 'conf').as_posix()}" in names
    for path in (ROOT / "src").rglob("*.py"):
        assert path.relative_to(ROOT / "src").as_posix() in names


def test_nothing_else_is_inside(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} <= {"runner", "hydra_plugins"}
    assert not [name for name in names if "test" in name.lower() or name.endswith(".pyc") or "outputs" in name]


def test_the_command_is_named(wheel):
    archive = zipfile.ZipFile(wheel)
    (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "runner = runner.cli:main" in archive.read(entry).decode()


def test_it_trains_in_an_empty_folder(wheel, tmp_path):
    site, home = tmp_path / "site", tmp_path / "home"
    zipfile.ZipFile(wheel).extractall(site)
    home.mkdir()
    # The unpacked wheel comes first, before this checkout, which may be installed in this environment.
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    where = "import runner.config.catalog; print(runner.__path__[0], runner.config.catalog.config_path())"
    done = subprocess.run([sys.executable, "-c", where], cwd=home, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [str(site / "runner"), str(site / "runner" / "conf")], done.stdout + done.stderr
    words = ["model=mlp", "data=iris", "trainer=debug", "tracking.system_metrics=false", "tracking.model=false"]
    command = [sys.executable, "-m", "runner.cli", *words]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(home.glob("outputs/mlp-iris/*/metrics.json"))) == 1
