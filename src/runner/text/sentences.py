"""Where the documents and the sentences of a text end."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?![a-z])|(?<=[.!?][\"')\]])\s+(?![a-z])")
FINISHED = re.compile(r"[.!?][\"')\]]*\s*\Z")
LONGEST = 10_000  # characters after which a sentence ends with its line, whether it has a mark or not
LONGEST_PIECE = 60_000  # characters of a sentence: about 10 000 words, as gensim cuts a text without sentences


def each_line(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield every line that is not empty as a document of one line."""
    return ([line] for line in lines if line.strip())


def each_paragraph(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the lines between empty lines."""
    for filled, paragraph in groupby(lines, key=lambda line: bool(line.strip())):
        if filled:
            yield list(paragraph)


def whole(lines: Iterable[str]) -> Iterator[Iterable[str]]:
    """Yield all lines as one document."""
    yield lines


def at_marks(lines: Iterable[str]) -> Iterator[str]:
    """Yield what ends with a mark, a space and no small letter after it, whatever the lines; or with an empty line."""
    rest = ""
    for line in lines:
        *sentences, rest = SENTENCE_END.split(f"{rest} {line}".strip())
        yield from sentences
        if len(rest) > LONGEST or not line.strip():
            yield rest
            rest = ""
    yield rest


DOCUMENTS: dict[str, Callable[[Iterable[str]], Iterator[Iterable[str]]]] = {
    "line": each_line,
    "paragraph": each_paragraph,
    "file": whole,
}
SENTENCES: dict[str, Callable[[Iterable[str]], Iterable[str]]] = {"marks": at_marks, "line": iter}


def pieces(text: str) -> Iterator[str]:
    """Cut what has no end at a space, so that a file of one line takes little memory."""
    start = 0
    while len(text) - start > LONGEST_PIECE and (end := text.find(" ", start + LONGEST_PIECE)) >= 0:
        yield text[start:end]
        start = end
    yield text[start:]
