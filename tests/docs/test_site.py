"""The site is built without a warning, and holds the pages that are made for it."""

import json
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
    the_chinese_site_is_whole(tmp_path)


def the_chinese_site_is_whole(site: Path):
    """Its own pages in Chinese, the others in English, all in a Chinese menu, and links to files that are there."""
    start = (site / "zh" / "index.html").read_text(encoding="utf-8")
    assert 'lang="zh"' in start and "一条命令" in start and "书的各章" in start
    assert 'src="http' not in start, "a script is fetched from the network"
    chapter = (site / "zh" / "chapter-7.html").read_text(encoding="utf-8")
    assert "词向量" in chapter and 'href="../chapter-7.html" hreflang="en"' in chapter
    assert "添加模型" in chapter and (site / "zh" / "add-a-model.html").exists()
    assert not list(site.rglob("*.zh.html"))
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"] if "词" in entry["text"]}
    assert "zh/chapter-7.html" in found and "zh" in index["config"]["lang"]
    for page in (site / "zh").rglob("*.html"):
        links = re.findall(r'(?:href|src)="([^"#?:]+)(?:#[^"]*)?"', page.read_text(encoding="utf-8"))
        broken = [link for link in links if not (page.parent / link).exists()]
        assert not broken, f"{page.name}: {broken}"


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    names = {page.name.replace(".zh.md", ".md") for page in (ROOT / "docs").glob("*.md")}
    assert not [name for name in names if f"- {name}" not in menu]
