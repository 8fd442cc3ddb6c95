"""docs/how-it-works.md and CONTRIBUTING.md name what is there."""

import re
from pathlib import Path

import pytest
from test_layout import ROOMS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "runner"
PAGES = ("docs/how-it-works.md", "CONTRIBUTING.md")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_the_table_lists_the_rooms_in_order() -> None:
    listed = re.findall(r"^\| `([^`]+)` \|", text("docs/how-it-works.md"), flags=re.MULTILINE)
    assert tuple(name.removesuffix("/").removesuffix(".py").replace("/", ".") for name in listed) == ROOMS


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str) -> None:
    names = re.findall(r"(?<![\w/<.])((?:\w+/)*\w+\.py|(?:\w+/)+)(?![\w<])", text(page).replace("src/runner/", ""))
    known = {path.name for path in SOURCE.rglob("*.py")} | {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    for name in names:
        places = (SOURCE / name, ROOT / name)
        beside = "/" not in name and name in known  # named after its room, as in `training/job.py`, `resume.py`
        written_by_a_run = name in ("checkpoints/", "figures/", "model/")
        assert beside or written_by_a_run or any(place.exists() for place in places), f"{page} names {name}"
