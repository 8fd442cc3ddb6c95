"""A page of docs, followed to the letter: the files it shows are written, the commands it names are run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from warm import typed

ROOT = Path(__file__).parents[1]


class Page:
    """A page whose fenced blocks are files (a name behind the language) or commands (sh).

    Args:
        name: of the file in docs.
        folder: where its files are written and its commands are run.
    """

    def __init__(self, name: str, folder: Path):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        self.folder = folder
        self.commands: list[list[str]] = []  # without the word runner
        for fence, content in re.findall(r"^```(\S+(?: \S+)?)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
            if " " in fence:
                path = folder / fence.split(" ")[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
            elif fence == "sh":
                lines = [shlex.split(line, comments=True) for line in content.splitlines()]
                self.commands += [words[1:] for words in lines if words and words[0] == "runner"]

    def runner(self, command: list[str]) -> str:
        """What `runner COMMAND` prints; it has to succeed."""
        return runner(self.folder, *command)

    def refused(self, command: list[str]) -> str:
        """What `runner COMMAND` says of a user's mistake, which it has to find."""
        return runner(self.folder, *command, code=2)

    def python(self, *arguments: str, code: int = 0) -> str:
        """What Python prints, errors included; it has to end with this exit code."""
        return run(self.folder, *arguments, code=code)


def environment() -> dict[str, str]:
    """What a program of this checkout is started with."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}


def runner(folder: Path, *words: str, code: int = 0) -> str:
    """What `runner WORDS` prints in a folder, errors included; it has to end with this exit code."""
    ended, printed = typed(words, folder, environment())
    assert ended == code, printed
    return printed


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    """What Python prints in a folder, errors included; it has to end with this exit code."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
    )
    assert ended.returncode == code, ended.stdout
    return ended.stdout
