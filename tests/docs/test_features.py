"""docs/features.md, typed from the top to the bottom: every command prints what the page says."""

import re
import shlex
from pathlib import Path

import pytest
from pages import ROOT, Page, environment
from warm import typed

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


@pytest.mark.slow
@pytest.mark.timeout(900)  # a table is one test
@pytest.mark.parametrize("table", tables())
def test_every_command_prints_what_the_page_says(table: str, tmp_path: Path) -> None:
    Page("features.md", tmp_path)  # writes its files
    rows = tables()[table]
    assert len(rows) >= 5
    for feature, command, wanted in rows:
        before, _, after = command.rpartition(" | ")
        given = bytes(shlex.split(before)[1], "utf-8").decode("unicode_escape").encode() if before else b""
        code, printed = typed(shlex.split(after)[1:], tmp_path, environment(), given)
        pattern = ".*".join(re.escape(part) for part in wanted.split("..."))
        shown = f"{feature}: {command}\n{printed}"
        assert code in MAY_FAIL and (code == 0 or "runner: " in printed), shown
        assert re.search(pattern, printed), shown
