"""The site is built without a warning, and holds the pages that are made for it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, environment

from runner.config.catalog import Catalog, folders


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path):
    pytest.importorskip("mkdocs")
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=environment() | {"NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
    )
    assert ended.returncode == 0 and not ended.stdout.strip(), ended.stdout
    assert "a fine film" in (tmp_path / "using-a-model.html").read_text(encoding="utf-8")
    models = (tmp_path / "reference" / "models.html").read_text(encoding="utf-8")
    assert not [name for name in Catalog(folders()).choices("model") if f'id="{name}"' not in models]
    assert "confusion_matrix" in (tmp_path / "from-python.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(code/[^"]+)#([^"]+)"', (tmp_path / "chapter-7.html").read_text(encoding="utf-8"))
    assert links
    assert not [place for page, place in links if f'id="{place}"' not in (tmp_path / page).read_text(encoding="utf-8")]


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if f"- {page.name}" not in menu]
