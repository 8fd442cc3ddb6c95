"""The pages of the site that are made while it is built: start page, notebook, one page for each group of choices.

mkdocs calls `on_files` with the pages of this folder; see mkdocs.yml.
"""

import importlib.util
import json
import logging
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

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
SOURCE_LINK = re.compile(r"\[(?P<words>[^\]]*)\]\(\.\./(?P<path>src/[\w/]+\.py)#L(?P<line>\d+)\)")
if importlib.util.find_spec("jieba"):  # the search cuts Chinese words by it, and its greeting is no warning
    import jieba

    jieba.setLogLevel(logging.WARNING)
INDENTED = re.compile(r"^(?: {4}runner .*\n)+", flags=re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {name: of_the_root(ROOT / source) for name, source in OF_THE_ROOT.items()}
    made["from-python.md"] = notebook(ROOT / "docs" / "from-python.ipynb")
    made |= {f"reference/{title}.md": reference(title, group) for title, group in GROUPS.items()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    for path in linked_sources():
        name = code_page(path)
        files.append(File.generated(config, name, content=source(path), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point links to files of the repository at the pages made of them; mark commands as such."""
    markdown = SOURCE_LINK.sub(code_link, markdown)
    return of_the_site(INDENTED.sub(lambda lines: f"```sh\n{re.sub('^    ', '', lines[0], flags=re.M)}```\n", markdown))


def linked_sources() -> list[str]:
    """The files of the source whose lines pages link to."""
    pages = (ROOT / "docs").glob("*.md")
    return sorted({link["path"] for page in pages for link in SOURCE_LINK.finditer(page.read_text(encoding="utf-8"))})


def code_page(path: str) -> str:
    """The page that shows a file of the source."""
    return f"code/{path.removeprefix('src/runner/').removesuffix('.py').replace('/', '-')}.md"


def code_link(link: re.Match[str]) -> str:
    """A link to a line of that page, which mkdocs cannot check: the numbers of lines are anchors of the block."""
    words = re.sub("`(.*?)`", r"<code>\1</code>", link["words"])
    return f'<a href="{code_page(link["path"])[:-3]}.html#__codelineno-0-{link["line"]}">{words}</a>'


def source(path: str) -> str:
    """A file of the source with numbers of lines, each of which is an anchor."""
    return f'# {path}\n\n```{{.python linenums="1"}}\n{(ROOT / path).read_text(encoding="utf-8").rstrip()}\n```\n'


def of_the_root(path: Path) -> str:
    """A page that stands outside docs, with its links as they are from inside."""
    return of_the_site(path.read_text(encoding="utf-8").replace("](docs/", "]("))


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
