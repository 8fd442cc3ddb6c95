"""Sentences of reviews with the things they speak of (aspect terms) and what they say about them (opinion terms).

Sources: the format of SemEval-2014 task 4 (Maria Pontiki et al., SemEval 2014): XML with <sentence>, <text> and
<aspectTerm term= from= to=>; opinion terms as Wenya Wang et al. (AAAI 2017) publish them: a line for each sentence in
the order of the XML, `good +1, not any longer -1`, or NIL. Neither may be packaged here, so that without a path
the sentences are made up from patterns: they show that a model can learn the task, not how good it is on reviews.
"""

import hashlib
import random
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.datamodules.parts.prepared import FoundRows
from runner.datamodules.parts.tags import OUTSIDE, TaggedSentence
from runner.datamodules.tagged_data import TaggedData
from runner.errors import UserError
from runner.files import cache
from runner.files.tables import missing
from runner.text.tokenizers import regex

ASPECT, OPINION = "aspect", "opinion"

# The made-up sentences. {A} is an aspect term, {O} an opinion term; the other words are neither, "cold" and "kind" too.
PATTERNS = [
    "the {A} was {O} .", "the {A} was {O} and the {A} was {O} .", "the {A} was {O} , but the {A} was {O} .",
    "{O} {A} !", "{O} {A} and {O} {A} .", "we came on a cold night and the {A} was {O} .",
    "i {O} the {A} and my friend {O} the {A} .", "my mother ordered the {A} , which was {O} .",
    "the {A} here is {O} , and so is the {A} .", "we came here for a birthday on a cold day .",
    "it is the kind of place with {O} {A} .", "the waiter told us about the street and the {A} .",
    "we sat at the window and waited .", "not one of us thought that the {A} was {O} .",
    "after the theatre we tried the {A} , {O} as ever .", "they ask a lot for {O} {A} .",
]  # fmt: skip
ASPECTS = [
    "food", "service", "pizza", "pasta", "soup", "wine", "menu", "staff", "decor", "music", "coffee", "bread", "salad",
    "dessert", "sushi", "fish", "steak", "beer", "rice", "price", "table", "garden", "kitchen", "portions", "noodles",
    "wine list", "fried rice", "goat cheese", "chicken curry", "ice cream", "lunch menu", "tasting menu", "lemon tart",
    "house wine", "lamb chops", "apple pie", "fish tacos", "corner table", "bar staff", "spring rolls",
]  # fmt: skip
OPINIONS = [
    "great", "good", "bad", "awful", "excellent", "delicious", "bland", "slow", "friendly", "rude", "fresh", "stale",
    "cold", "tasty", "loud", "lovely", "cheap", "dry", "salty", "superb", "poor", "tiny", "generous", "dull", "perfect",
    "out of this world", "nothing special", "way too sweet", "kind", "over the top", "a bit greasy", "well made",
]  # fmt: skip
VERBS = ["loved", "liked", "hated", "enjoyed", "disliked", "could not stand"]  # in the patterns that begin with i
SENTENCES = 2000
NEW = 0.3  # of the terms: they are words that no other sentence has, to be told by what stands around them


@dataclass(kw_only=True, eq=False, repr=False)
class AspectTerms(TaggedData):
    """Sentences of reviews with the tags B-aspect, I-aspect, B-opinion and I-opinion.

    Args:
        path: an XML file in the format of SemEval-2014 task 4; None = sentences made up here.
        opinions: a file with the opinion terms of each of its sentences; None = there are none.
        test_path: the XML file of the test split; None = a part of the sentences.
        test_opinions: a file with the opinion terms of each of its sentences.
    """

    path: str | None = None
    opinions: str | None = None
    test_path: str | None = None
    test_opinions: str | None = None

    def find_sentences(self) -> FoundRows[TaggedSentence]:
        if self.path is None:
            made = list(made_up(random.Random(self.split_seed)))
            digest = hashlib.sha256(repr(made).encode()).hexdigest()
            source = f"made up here: {len(made)} sentences about restaurants from {len(PATTERNS)} patterns, no reviews"
            return FoundRows("made_up_aspects", lambda: made, source, digest, {})
        parts: list[tuple[str, str | None, str | None]] = [(self.path, self.opinions, None)]
        if self.test_path is not None:
            parts = [(self.path, self.opinions, "train"), (self.test_path, self.test_opinions, "test")]
        names = [name for path, opinions, _ in parts for name in (path, opinions) if name is not None]
        for name in names:
            if not Path(name).is_file():
                raise missing(Path(name), name)
        digest = hashlib.sha256("".join(map(cache.file_digest, names)).encode()).hexdigest()

        def rows() -> Iterator[TaggedSentence]:
            for path, opinions, split in parts:
                yield from in_reviews(Path(path), None if opinions is None else Path(opinions), split)

        source = f"reviews {', '.join(names)}{'' if self.opinions else ', without opinion terms'}"
        reading = {"opinions": [opinions is not None for _, opinions, _ in parts]}
        return FoundRows("aspect_terms", rows, source, digest, reading)


def made_up(draw: random.Random) -> Iterator[TaggedSentence]:
    """Yield sentences from the patterns."""
    for _ in range(SENTENCES):
        pattern = draw.choice(PATTERNS)
        opinions = VERBS if pattern.startswith("i ") else OPINIONS
        tokens: list[str] = []
        tags: list[str] = []
        for word in pattern.split():
            kind = {"{A}": ASPECT, "{O}": OPINION}.get(word)
            term = [word] if kind is None else draw.choice(ASPECTS if kind == ASPECT else opinions).split()
            if kind is not None and draw.random() < NEW:
                term = [new_word(draw)]
            tokens += term
            tags += [OUTSIDE] if kind is None else [f"B-{kind}", *[f"I-{kind}"] * (len(term) - 1)]
        yield TaggedSentence(tokens, tags)


def new_word(draw: random.Random) -> str:
    """Return a word of three syllables, such as "belaro"."""
    return "".join(draw.choice("bcdfglmnprstvz") + draw.choice("aeiou") for _ in range(3))


def in_reviews(file: Path, opinions: Path | None, split: str | None) -> Iterator[TaggedSentence]:
    """Yield the sentences of an XML file, with their opinion terms if there is a file with them.

    Raises:
        UserError: it is not such XML, or the other file has another number of lines.
    """
    try:
        sentences = list(ElementTree.parse(file).iter("sentence"))
    except ElementTree.ParseError as error:
        raise UserError(f"{file} is not XML: {error}") from None
    lines = [""] * len(sentences)
    if opinions is not None:
        lines = opinions.read_text(encoding="utf-8").splitlines()
        if len(lines) != len(sentences):
            raise UserError(f"{opinions} has {len(lines)} lines, but {file} has {len(sentences)} sentences")
    for number, (sentence, line) in enumerate(zip(sentences, lines, strict=True), 1):
        text = sentence.findtext("text")
        if not (text and text.strip()):
            raise UserError(f"{file}, sentence {number}: it has no <text>")
        tokens = regex(text)
        tags = [OUTSIDE] * len(tokens)
        for start, end in opinion_places(tokens, line):
            mark(tags, OPINION, start, end)
        places = list(places_in_text(text, tokens))
        for term in sentence.iter("aspectTerm"):
            try:
                first, last = int(term.attrib["from"]), int(term.attrib["to"])
            except (KeyError, ValueError):
                raise UserError(f"{file}, sentence {number}: an <aspectTerm> without numbers from= and to=") from None
            inside = [place for place, (begin, end) in enumerate(places) if begin < last and end > first]
            if not inside:
                raise UserError(f"{file}, sentence {number}: no word stands from {first} to {last} of {text!r}")
            mark(tags, ASPECT, inside[0], inside[-1] + 1)
        yield TaggedSentence(tokens, tags, split)


def places_in_text(text: str, tokens: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield where each token begins and ends in the text."""
    small, end = text.lower(), 0
    for token in tokens:
        begin = small.index(token, end)
        end = begin + len(token)
        yield begin, end


def opinion_places(tokens: list[str], line: str) -> Iterator[tuple[int, int]]:
    """Yield where each opinion term of a line stands: at its first place that no term before it has."""
    taken: set[int] = set()
    for entry in line.rpartition("##")[2].split(","):
        words = entry.split()
        if not words or words == ["NIL"]:
            continue
        term = regex(" ".join(words[:-1] if words[-1] in ("+1", "-1") else words))
        for start in range(len(tokens) - len(term) + 1):
            if tokens[start : start + len(term)] == term and start not in taken:
                taken.update(range(start, start + len(term)))
                yield start, start + len(term)
                break


def mark(tags: list[str], kind: str, start: int, end: int) -> None:
    """Tag the tokens from start to before end as one span."""
    tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
