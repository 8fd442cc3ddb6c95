"""Type the commands of one table of docs/features.md in a folder: `python type_features.py TABLE FOLDER`.

Prints, as JSON, what each of them printed: [[feature, command, wanted, code, printed], ...].
"""

import json
import os
import re
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]
MAY_FAIL = (0, 2, 143)  # a mistake that is answered, a run whose time is over


def tables() -> dict[str, list[tuple[str, str, str]]]:
    """The rows of each table of the page: feature, command, what it prints."""
    text = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    found = {}
    for title, content in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE):
        cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in content.splitlines() if line.startswith("|")]
        rows = [tuple(cell.strip().strip("`").replace("\\|", "|") for cell in row) for row in cells[2:]]
        if len(cells[0]) == 3:  # the last table has no commands
            found[title] = rows
    return found


def main() -> None:
    table, folder = sys.argv[1], Path(sys.argv[2]).absolute()
    from pages import Page

    Page("features.md", folder)  # writes its files
    keep = os.dup(1)
    from forks import typed

    found = []
    for feature, command, wanted in tables()[table]:
        before, _, after = command.rpartition(" | ")
        given = bytes(shlex.split(before)[1], "utf-8").decode("unicode_escape").encode() if before else b""
        code, printed = typed(shlex.split(after)[1:], folder, given)
        found.append([feature, command, wanted, code, printed])
    os.write(keep, json.dumps(found).encode())


if __name__ == "__main__":
    main()
