"""The pages of the site that are made while it is built: start page, notebook, one page for each group of choices.

mkdocs calls `on_files` with the pages of this folder, once for each language; see mkdocs.yml. A page that has no
Chinese version is shown in English there, with a Chinese title in the menu.
"""

import importlib.util
import json
import logging
import re
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from runner.config.catalog import Catalog, folders
from runner.config.signatures import signature

ROOT = Path(__file__).parents[1]
GROUPS = {
    "models": "model",
    "data": "data",
    "tasks": "task",
    "optimizers": "optim",
    "schedules": "schedule",
    "experiments": "experiment",
}
OF_THE_ROOT = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
CHINESE = {"index.md": "README.zh-CN.md"}  # which of them have a Chinese version
OTHER_LANGUAGE = re.compile(r"^\[(?:中文|English)\]\(README[\w.-]*\)\n+", flags=re.MULTILINE)  # every page has a switch
SOURCE_LINK = re.compile(r"\[(?P<words>[^\]]*)\]\(\.\./(?P<path>src/[\w/]+\.py)#L(?P<line>\d+)\)")
if importlib.util.find_spec("jieba"):  # the search cuts Chinese words by it, and its greeting is not a warning
    import jieba

    jieba.setLogLevel(logging.WARNING)
FENCED = re.compile(r"(^```.*?^```$)", flags=re.DOTALL | re.MULTILINE)
HAN = r"\u3001-\u9fff\uff00-\uffef"  # with the punctuation marks
BROKEN = re.compile(rf"(?<=[{HAN}”])\n *(?=[{HAN}“])|(?<=[，。；：、）？！])\n *(?=[A-Za-z`(])")
INDENTED = re.compile(r"^(?: {4}runner .*\n)+", flags=re.MULTILINE)


@event_priority(-150)  # after the plugin i18n, which knows nothing of pages that are made
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    language = config.plugins["i18n"].current_language
    for name, content in made("zh" if language == "zh" else "en").items():
        hidden = name.startswith("code/")
        pages = {each: generated(config, name, content, each, hidden) for each in ("en", "zh")}
        for page in pages.values():
            page.alternates = pages
        if not hidden or language == "en":
            files.append(pages[language])
    return files


def generated(config: MkDocsConfig, name: str, content: str, language: str, hidden: bool) -> File:
    """A page that is made, with what the plugin i18n notes on each page; code is shown once, for both languages."""
    inclusion = InclusionLevel.NOT_IN_NAV if hidden else InclusionLevel.INCLUDED
    page = File.generated(config, name, content=content, inclusion=inclusion)
    if language == "zh":
        page.dest_uri = "zh/index.html" if hidden else f"zh/{page.dest_uri}"
        page.url = page.dest_uri
    page.locale = "zh" if language == "zh" and name in CHINESE else "en"
    page.locale_alternate_of, page.norm_src_uri = language, name
    return page


def made(language: str) -> dict[str, str]:
    """The pages that are made, {name: text}."""
    if language == "zh":
        return made("en") | {name: of_the_root(ROOT / source) for name, source in CHINESE.items()}
    pages = {name: of_the_root(ROOT / source) for name, source in OF_THE_ROOT.items()}
    pages["from-python.md"] = notebook(ROOT / "docs" / "from-python.ipynb")
    pages |= {f"reference/{title}.md": reference(title, group) for title, group in GROUPS.items()}
    return pages | {code_page(path): source(path) for path in linked_sources()}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Point links to files of the repository at the pages made of them; mark commands as such."""
    if page.file.dest_uri.startswith("zh/"):
        markdown = SOURCE_LINK.sub(lambda link: code_link(link, "../"), markdown)
        if page.file.locale == "zh":
            markdown = unbroken(markdown)
        else:
            titles = config.plugins["i18n"].current_language_config.nav_translations
            page.title = titles.get(page.file.norm_src_uri, page.title)
            page.meta["search"] = {"exclude": True}  # its English page is found
    markdown = SOURCE_LINK.sub(code_link, markdown)
    return of_the_site(INDENTED.sub(lambda lines: f"```sh\n{re.sub('^    ', '', lines[0], flags=re.M)}```\n", markdown))


def unbroken(markdown: str) -> str:
    """Chinese text without line breaks within a paragraph, which a browser would show as gaps."""
    parts = FENCED.split(markdown)
    return "".join(part if part.startswith("```") else BROKEN.sub("", part) for part in parts)


def linked_sources() -> list[str]:
    """The files of the source whose lines pages link to."""
    pages = (ROOT / "docs").glob("*.md")
    return sorted({link["path"] for page in pages for link in SOURCE_LINK.finditer(page.read_text(encoding="utf-8"))})


def code_page(path: str) -> str:
    """The page that shows a file of the source."""
    return f"code/{path.removeprefix('src/runner/').removesuffix('.py').replace('/', '-')}.md"


def code_link(link: re.Match[str], up: str = "") -> str:
    """A link to a line of that page, which mkdocs cannot check: the numbers of lines are anchors of the block."""
    words = re.sub("`(.*?)`", r"<code>\1</code>", link["words"])
    return f'<a href="{up}{code_page(link["path"])[:-3]}.html#__codelineno-0-{link["line"]}">{words}</a>'


def source(path: str) -> str:
    """A file of the source with numbers of lines, each of which is an anchor."""
    return f'# {path}\n\n```{{.python linenums="1"}}\n{(ROOT / path).read_text(encoding="utf-8").rstrip()}\n```\n'


def of_the_root(path: Path) -> str:
    """A page that stands outside docs, with its links as they are from inside."""
    text = OTHER_LANGUAGE.sub("", path.read_text(encoding="utf-8"))
    return of_the_site(text.replace("](docs/", "]("))


def of_the_site(markdown: str) -> str:
    """Links to what has another name on the site."""
    for name, source in OF_THE_ROOT.items():
        markdown = re.sub(rf"\]\((?:\.\./)?{re.escape(source)}\)", f"]({name})", markdown)
    return markdown.replace(".ipynb)", ".md)").replace("](LICENSE)", "](index.md)")


def notebook(path: Path) -> str:
    """The cells of a notebook with what they printed and drew."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", []):
            shown = output.get("data", {})
            if "image/png" in shown:
                parts.append(f"![](data:image/png;base64,{''.join(shown['image/png']).strip()})")
            elif text := "".join(output.get("text", shown.get("text/plain", ""))):
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


@cache
def reference(title: str, group: str) -> str:
    """What there is of a group: for each choice its meaning, its source, its command and its settings."""
    catalog = Catalog(folders())
    parts = [f"# {title.capitalize()}", f"`{group}=NAME` chooses one. `runner list {title}` prints this list."]
    return "\n\n".join([*parts, *(choice(catalog, group, name) for name in catalog.choices(group))]) + "\n"


def choice(catalog: Catalog, group: str, name: str) -> str:
    """One choice."""
    found = signature(str(catalog.node(group, name).get("_target_", "")))
    parts = [f"## {name}", catalog.summary(group, name), f"```sh\n{catalog.example(group, name)}\n```"]
    if found is not None and found.target.startswith("runner.") and group in ("model", "task"):
        parts.append(re.split(r"^(?:Args|Raises|Shape letters):?", found.module_doc, maxsplit=1, flags=re.M)[0].strip())
        parts.append(f"Code: `{Path(found.file).relative_to(ROOT) if found.file else found.target}`")
    if group == "model":
        parts.append(f"Reads: {', '.join(f'`{each}`' for each in catalog.readable(name)) or 'nothing here'}")
    if group == "data":
        parts.append(f"Read by: {', '.join(f'`{each}`' for each in catalog.readers(name)) or 'no model here'}")
    return "\n\n".join([*parts, f"```yaml\n{catalog.path(group, name).read_text(encoding='utf-8').rstrip()}\n```"])
