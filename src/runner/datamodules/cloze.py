"""Questions about a text with one word missing: made from any text, or read from files of the Children's Book Test.

Sources: Felix Hill et al. 2016, arXiv:1511.02301 (The Goldilocks Principle: 20 sentences, the next one with a word
missing, ten candidates); the packaged film reviews of `movie_reviews.py`.

Which words are hidden is decided without a tagger, by what a reader can check by eye. A name is a word that the
document writes with a capital inside its sentences and never without. A noun is a word that stands between an article
(a, an, the) and a mark or a stop word at least every seventh time: adjectives follow articles too, but a noun follows
them. Words in fewer than ten or more than 5 % of the documents are left out: the one cannot be learned, the other
(movie, film) is the right guess without reading.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from runner.datamodules.base import DataModule
from runner.datamodules.corpus import NAMED, OWN_SPLIT, Corpus, Document
from runner.datamodules.pair_data import LETTERS
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.prepared import FoundRows, Prepared
from runner.datamodules.parts.questions import BLANK, AnswerWords, QuestionInputs, RawQuestion, prepare_questions
from runner.datamodules.parts.targets import Targets
from runner.datamodules.parts.texts import TextSettings
from runner.errors import UserError
from runner.files import cache
from runner.files.tables import missing
from runner.text.pipeline import TokenSettings
from runner.text.vocabulary import SPECIALS, Vocabulary
from runner.text.words import stop_words

WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
WORD_OR_MARK = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
ARTICLES = {"a", "an", "the"}
NOUN_SHARE = 0.15  # of the occurrences of a word: between an article and the end of its phrase
FEWEST, LARGEST_SHARE = 10, 0.05  # documents with a noun at least, and share of the documents at most
LONGEST_QUESTION = 60  # words


@dataclass(kw_only=True, eq=False, repr=False)
class QuestionData(DataModule):
    """Documents with questions. A subclass writes `find_questions`.

    Args:
        vocab_size: at most this many words in the vocabulary, including PAD and UNK, at least 3.
        max_len: words of a document that are kept, at least 1; of a longer one the last ones, nearest to the question.
        tokenizer: space, word, regex, penn, or the dotted path of a function text -> tokens.
        min_count: words rarer than this in the training split become UNK, at least 1.
        bucket: whether documents of similar length come together in a training batch, so that there is less padding.
        short_first: in this many epochs at the beginning the documents come from short to long, at least 0.
    """

    vocab_size: int = 10_000
    max_len: int = 400
    tokenizer: str = "word"
    min_count: int = 1
    bucket: bool = True
    short_first: int = 0

    def find_questions(self) -> FoundRows[RawQuestion]:
        """Return where the questions come from.

        Raises:
            UserError: they cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define find_questions()")

    def prepare(self) -> Prepared:
        if TokenSettings(self.tokenizer).learns:
            raise UserError(
                f"data.tokenizer={self.tokenizer} makes pieces of words, and a question hides a whole word: choose "
                "word, regex, penn or space"
            )
        return prepare_questions(self.find_questions(), self.text_settings, self.splitting)

    @property
    def text_settings(self) -> TextSettings:
        """How documents are encoded."""
        return TextSettings("document", self.tokenizer, self.vocab_size, self.max_len, self.min_count, "tail")

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets]:
        words = [*LETTERS[: facts["vocab_size"] - len(SPECIALS) - 1], BLANK.lower()]
        return QuestionInputs(self.text_settings.pipeline(), Vocabulary([*SPECIALS, *words])), AnswerWords([])


@dataclass(kw_only=True, eq=False, repr=False)
class Cloze(QuestionData):
    """Questions made from a text: a word of a sentence is hidden that the sentences before it have, too.

    Args:
        path: a text file, or a folder of them; None = the packaged IMDB reviews.
        files: pattern of the names of the files in a folder.
        encoding: of the files.
        document: what is one document, which belongs to one split: a line, a paragraph (ends with an empty line) or a
            whole file.
        sentence: where a sentence ends: at the marks . ! ? or at the end of a line.
        sentences: sentences before the one with the missing word that are the document of a question at most, at least
            1; the text is cut into passages of one more.
        candidates: words to choose from, at least 2, the right one among them.
        hide: what is hidden: a noun, a name, or both (see the top of this file).
        per_passage: questions that one passage gives at most, at least 1, about its last sentences.
        max_questions: questions are made until there are so many, at least 1; None = all.
    """

    path: str | None = None
    files: str = "*"
    encoding: str = "utf-8"
    document: Literal["line", "paragraph", "file"] = "line"
    sentence: Literal["marks", "line"] = "marks"
    sentences: int = 20
    candidates: int = 10
    hide: Literal["noun", "name", "both"] = "both"
    per_passage: int = 2
    max_questions: int | None = None

    def find_questions(self) -> FoundRows[RawQuestion]:
        text = {key: getattr(self, key) for key in ("path", "files", "encoding", "document", "sentence")}
        found = Corpus(**text).find()
        names = ("sentences", "max_len", "candidates", "hide", "per_passage", "max_questions", "split_seed")
        how = {key: getattr(self, key) for key in names}

        def rows() -> Iterator[RawQuestion]:
            documents = [Document(list(each), split) for each, split in found.documents()]
            yield from made_questions(documents, **how)

        source = f"questions made here from {found.source}"
        return FoundRows("cloze", rows, source, found.digest, how | text | {"path": None})


@dataclass(kw_only=True, eq=False, repr=False)
class ChildrensBooks(QuestionData):
    """Questions in the format of the Children's Book Test: 20 numbered sentences, and a 21st with XXXXX.

    The 21st line goes on with tabs, the answer and the candidates with | between them. Each question is a document of
    its own when rows are divided into splits.

    Args:
        path: a file, or a folder of them; a file whose name has train, valid or test in it belongs to that split.
        files: pattern of the names of the files in a folder, such as "*_NE_*".
    """

    path: str
    files: str = "*"

    def find_questions(self) -> FoundRows[RawQuestion]:
        path = Path(self.path)
        files = [path] if path.is_file() else sorted(file for file in path.glob(self.files) if file.is_file())
        if not files:
            raise missing(path / self.files if path.is_dir() else path, self.path)
        digest = "".join(map(cache.file_digest, files))
        source = f"questions {', '.join(file.name for file in files)} of {self.path}"
        return FoundRows("cbt", lambda: questions_in(files), source, digest, {"format": "cbt"})


# Making questions.


def made_questions(
    documents: Sequence[Document],
    sentences: int,
    max_len: int,
    candidates: int,
    hide: str,
    per_passage: int,
    max_questions: int | None,
    split_seed: int,
) -> Iterator[RawQuestion]:
    """Yield the questions that the passages of documents give, see `Cloze`."""
    nouns = frequent_nouns(documents) if hide != "name" else set()
    stop, draw, made = set(stop_words("english")), random.Random(split_seed), 0
    for origin, document in enumerate(documents):
        whole = list(document.sentences)
        for start in range(0, len(whole), sentences + 1):
            passage = whole[start : start + sentences + 1]
            left = per_passage
            for last in range(len(passage) - 1, 0, -1):
                before = last_sentences(passage[:last], max_len)
                text = " ".join(before)
                eligible = words_of(text) & nouns
                if hide != "noun":
                    eligible |= names_of(before) - stop
                if len(eligible) < candidates:
                    continue
                found = hidden(passage[last], eligible, draw)
                if found is None:
                    continue
                question, answer = found
                others = draw.sample(sorted(eligible - {answer}), candidates - 1)
                yield RawQuestion(text, question, sorted([answer, *others]), answer, origin, document.split)
                left, made = left - 1, made + 1
                if made == max_questions:
                    return
                if not left:
                    break


def hidden(sentence: str, eligible: set[str], draw: random.Random) -> tuple[str, str] | None:
    """Hide a word of a sentence that has it only once; return the question and the word, or None."""
    small = sentence.lower()
    words = [word for word in WORD.finditer(sentence) if word[0].lower() in eligible]
    once = [word for word in words if small.count(word[0].lower()) == 1]  # not inside another word either
    if not once or len(WORD.findall(sentence)) > LONGEST_QUESTION:
        return None
    word = draw.choice(once)
    return f"{sentence[: word.start()]}{BLANK}{sentence[word.end() :]}", word[0].lower()


def last_sentences(sentences: Sequence[str], most: int) -> list[str]:
    """The last sentences, as many as have no more words than `most` together."""
    kept: list[str] = []
    for sentence in reversed(sentences):
        most -= len(WORD.findall(sentence))
        if most < 0:
            break
        kept.append(sentence)
    return kept[::-1]


def words_of(text: str) -> set[str]:
    return set(WORD.findall(text.lower()))


def names_of(sentences: Sequence[str]) -> set[str]:
    """The words written with a capital inside these sentences and nowhere without, in small letters."""
    inside = {word for sentence in sentences for word in WORD.findall(sentence)[1:]}
    everywhere = {word for sentence in sentences for word in WORD.findall(sentence)}
    capital = {word.lower() for word in inside if word.isalpha() and word.istitle() and len(word) > 1}
    return capital - everywhere


def frequent_nouns(documents: Sequence[Document]) -> set[str]:
    """The nouns in a usual number of documents, see the top of this file."""
    stop = set(stop_words("english"))
    occurrences: Counter[str] = Counter()
    ends: Counter[str] = Counter()  # between an article and the end of the phrase
    within: Counter[str] = Counter()  # documents with the word
    for document in documents:
        seen = set()
        for sentence in document.sentences:
            tokens = [".", *WORD_OR_MARK.findall(sentence.lower()), "."]
            occurrences.update(tokens)
            seen.update(tokens)
            for (before, word), after in zip(pairwise(tokens), tokens[2:], strict=False):
                if before in ARTICLES and (after in stop or not after[0].isalnum()):
                    ends[word] += 1
        within.update(seen)
    most = max(FEWEST, LARGEST_SHARE * len(documents))
    return {
        word
        for word, count in ends.items()
        if count >= NOUN_SHARE * occurrences[word] and FEWEST <= within[word] <= most
        if word.isalpha() and len(word) > 2 and word not in stop
    }


# Reading questions.


def questions_in(files: Sequence[Path]) -> Iterator[RawQuestion]:
    """Yield the questions of files in the format of the Children's Book Test.

    Raises:
        UserError: a line is not numbered, or the last one of a question lacks something.
    """
    origin = 0
    for file in files:
        own = OWN_SPLIT.search(file.name)
        before: list[str] = []
        for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
            if not line.strip():
                before = []
                continue
            first, *rest = filter(None, (part.strip() for part in line.split("\t")))
            count, _, sentence = first.partition(" ")
            if not count.isdigit():
                raise UserError(f"{file}, line {number}: expected a number and a sentence, found {line[:60]!r}")
            if not rest:
                before.append(sentence)
                continue
            candidates = rest[-1].split("|")
            if len(rest) != 2 or BLANK not in sentence or rest[0] not in candidates or not before:
                raise UserError(
                    f"{file}, line {number}: expected sentences before it, a sentence with {BLANK}, tab, the answer, "
                    f"tab, the candidates with | between them and the answer among them; found {line[:60]!r}"
                )
            yield RawQuestion(" ".join(before), sentence, candidates, rest[0], origin, own and NAMED[own[1]])
            origin, before = origin + 1, []
