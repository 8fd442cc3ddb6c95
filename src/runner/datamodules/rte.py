"""Recognising textual entailment: does the first text say that the second one is true?

Source: the PASCAL challenges RTE-1 to RTE-3 (Ido Dagan, Oren Glickman and Bernardo Magnini 2005; Roy Bar-Haim et al.
2006; Danilo Giampiccolo et al. 2007), in the XML files that NLTK distributes as its corpus "rte". GLUE's data of this
name also has the fifth challenge, and other test pairs, so that its scores are not comparable.
"""

import hashlib
import os
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.datamodules.parts.prepared import FoundRows
from runner.datamodules.parts.text_pairs import PairedRow
from runner.datamodules.text_pair_data import TextPairData
from runner.errors import UserError
from runner.files.tables import missing

FILES = ("rte1_dev", "rte1_test", "rte2_dev", "rte2_test", "rte3_dev", "rte3_test")
TESTED = "rte3_test"  # all other files are for training
CLASSES = {"NO": "not_entailment", "FALSE": "not_entailment", "YES": "entailment", "TRUE": "entailment"}
COLUMNS = ("premise", "hypothesis")


@dataclass(kw_only=True, eq=False, repr=False)
class RTE(TextPairData):
    """4 167 pairs of premise and hypothesis; the test split is that of the third challenge, 800 pairs.

    Args:
        path: rte.zip of NLTK, or a folder with its XML files; None = where NLTK keeps its corpora.
    """

    path: str | None = None

    names = COLUMNS
    class_names_found = ("entailment", "not_entailment")

    def find_pairs(self) -> FoundRows[PairedRow]:
        place = installed() if self.path is None else Path(self.path)
        files = contents(place)

        def rows() -> Iterator[PairedRow]:
            for name, content in files.items():
                yield from entailments(content, f"{place}, {name}.xml", "test" if name == TESTED else "train")

        digest = hashlib.sha256(b"".join(files.values())).hexdigest()
        return FoundRows("rte", rows, f"{', '.join(files)} in {place}", digest, {"test": TESTED})


def installed() -> Path:
    """Return where NLTK keeps the corpus.

    Raises:
        UserError: it is in none of the places.
    """
    given = filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep))
    usual = [Path.home() / "nltk_data", Path(sys.prefix, "nltk_data"), Path(sys.prefix, "share", "nltk_data")]
    places = [*map(Path, given), *usual, *map(Path, ("/usr/share/nltk_data", "/usr/local/share/nltk_data"))]
    for place in (found / "corpora" / name for found in places for name in ("rte.zip", "rte")):
        if place.exists():
            return place
    raise UserError(
        "The corpus rte of NLTK is not on this machine, and no package brings it along.\n"
        f"  tried: corpora/rte.zip in {', '.join(map(str, places))}\nThree ways to get the data:\n"
        "  1. let NLTK fetch it: python -m nltk.downloader rte;\n"
        "  2. give your own copy of rte.zip, or a folder with its files: data.path=rte.zip;\n"
        "  3. take the version of GLUE: data=hub data.path=nyu-mll/glue data.subset=rte data.text=sentence1 "
        "data.text_pair=sentence2 data.label=label."
    )


def contents(place: Path) -> dict[str, bytes]:
    """Return the files of the corpus, by name, from an archive or a folder; not all need be there.

    Raises:
        UserError: there is nothing, or not the test pairs together with others.
    """
    if not place.exists():
        raise missing(place, str(place))
    if place.is_dir():
        found = {file.stem: file.read_bytes() for file in sorted(place.rglob("*.xml"))}
    else:
        try:
            with zipfile.ZipFile(place) as archive:
                found = {Path(name).stem: archive.read(name) for name in archive.namelist() if name.endswith(".xml")}
        except zipfile.BadZipFile as error:
            raise UserError(
                f"{place} is not a zip archive: rte.zip of NLTK is wanted, or a folder with its files."
            ) from error
    known = {name: found[name] for name in FILES if name in found}
    if TESTED not in known or len(known) < 2:
        raise UserError(
            f"{place} holds {', '.join(known) or 'none of the files of RTE'}: {TESTED}.xml, which is the test split, "
            f"and at least one other are wanted ({', '.join(FILES)})."
        )
    return known


def entailments(content: bytes, where: str, split: str) -> Iterator[PairedRow]:
    """Yield the pairs of a file.

    Args:
        content: of the file.
        where: its name, for messages.
        split: the one that it belongs to.

    Raises:
        UserError: it is not XML, or a pair lacks something.
    """
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise UserError(f"{where} is not XML: {error}") from error
    for pair in root.iter("pair"):
        first, second = (" ".join((pair.findtext(tag) or "").split()) for tag in "th")
        label = CLASSES.get(str(pair.get("entailment", pair.get("value"))).upper())
        if label is None or not (first and second):
            raise UserError(
                f"{where}, pair {pair.get('id')}: expected <t>, <h>, and entailment or value as one of "
                f"{', '.join(CLASSES)}"
            )
        yield PairedRow(first, second, label, split)
