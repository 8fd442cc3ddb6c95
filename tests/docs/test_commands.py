"""The commands in README and docs: bash can read all of them, and those that train compose from what bash gives.

Left out of composing are features.md, of which a test types everything, and what page_commands.py says cannot be
complete here. `make commands` types those that train, with trainer=debug.
"""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from pages import ROOT

from runner.cli import VERBS
from runner.config.command import check

sys.path.append(str(Path(__file__).parent))
from page_commands import OWN_FILES, PAGES, commands, is_training, is_whole, refusals, scripts, typed


@cache
def problems(command: str) -> list[str]:
    """What is wrong with a training command; many stand on several pages."""
    words = typed(command)
    return check([word for word in words if word != "-m"], multirun="-m" in words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_bash_reads_every_command(page: Path) -> None:
    for script in [*scripts(page), *commands(page)]:
        read = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=60)
        assert read.returncode == 0, f"{script}\n{read.stderr}"


@pytest.fixture
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in OWN_FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "features"], ids=lambda page: page.stem)
def test_every_training_command_composes(page: Path, own_files: None) -> None:
    for command in dict.fromkeys(commands(page)):
        if is_training(command) and is_whole(command) and command not in refusals(page):
            assert (command, problems(command)) == (command, [])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_verb_is_one(page: Path) -> None:
    for command in commands(page):
        verb = command.split()[1]
        assert is_training(command) or verb.startswith("--") or verb in VERBS, command


@pytest.mark.parametrize(("page", "least"), [("README.md", 2), ("README.zh-CN.md", 1), ("docs/troubleshooting.md", 12)])
def test_mistakes_are_answered_as_shown(page: str, least: int, own_files: None) -> None:
    shown = refusals(ROOT / page)
    assert len(shown) >= least
    for command, answer in shown.items():
        found = problems(command)
        text = found[0] if len(found) == 1 else f"{len(found)} problems: - " + " - ".join(found)
        pattern = re.escape(" ".join(answer.split())).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, " ".join(text.split())), f"{command}\n{answer}\n{text}"


def test_the_rule_leaves_little_out() -> None:
    found = [command for page in PAGES for command in commands(page)]
    whole = [command for command in found if is_whole(command)]
    assert len(found) > 150
    assert len(whole) > 0.8 * len(found)


def test_what_bash_makes_of_a_command_is_tried() -> None:
    assert typed("runner -m 'seed=range(1,3)' model=mlp  # a comment") == ["-m", "seed=range(1,3)", "model=mlp"]
    with pytest.raises(subprocess.CalledProcessError):
        typed("runner -m seed=range(1,3)")


def test_bash_refuses_parentheses_without_quotes() -> None:
    read = subprocess.run(
        ["bash", "-n"], input="runner -m seed=range(1,6)\n", capture_output=True, text=True, timeout=60
    )
    assert read.returncode == 2
