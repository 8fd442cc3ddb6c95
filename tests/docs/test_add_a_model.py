"""docs/add-a-model.md, followed to the letter: its files are written, its commands are run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-model.md").read_text(encoding="utf-8")


def blocks() -> list[tuple[str, str]]:
    """The fenced blocks of the page: (what stands behind the fence, content)."""
    return re.findall(r"```(\S+(?: \S+)?)\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mine")
    for name, content in blocks():
        if " " in name:
            path = place / name.split(" ")[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return place


def run(folder: Path, command: list[str]) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_commands_of_the_page_work(folder: Path) -> None:
    lines = [line for name, content in blocks() if name == "sh" for line in content.splitlines()]
    commands = [line.split()[1:] for line in lines if line.startswith("runner ")]
    assert len(commands) == 4
    listed = run(folder, [sys.executable, "-m", "runner.cli", *commands[0]])
    assert "mean_of_words" in listed
    assert "movie_reviews" in listed
    examined = run(folder, [sys.executable, "-m", "runner.cli", *commands[1]])
    assert "All 7 contracts are kept." in examined
    trained = run(folder, [sys.executable, "-m", "runner.cli", *commands[2]])
    assert "accuracy" in trained
    assert commands[3] == [word for word in commands[2] if word != "trainer=debug"]


def test_the_contracts_hold_for_it(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        str(ROOT / "tests" / "contracts" / "test_nets.py"),
        "-k",
        "mean_of_words",
    ]
    assert "[100%]" in run(folder, [*command, "--config-dir", "conf", "-p", "no:cacheprovider"])
