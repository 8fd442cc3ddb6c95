"""Questions whose answer is a part of a text: files in the format of SQuAD, or questions made from film reviews.

Source: Pranav Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text, EMNLP 2016,
arXiv:1606.05250 (version 1.1: every question has an answer).

Without a file, questions are made here from the packaged IMDB reviews: an exercise, not a substitute. In a sentence of
a passage a name is replaced by "which name", as in Patrick Lewis et al., Unsupervised Question Answering by Cloze
Translation, ACL 2019, arXiv:1906.04980. To answer, a net has to find the sentence and what the question lacks. A name
is one to four words with a capital after a word without one, and the passage has it only once.
"""

import hashlib
import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.datamodules.base import DataModule
from runner.datamodules.corpus import NAMED, OWN_SPLIT, Corpus, Document
from runner.datamodules.pair_data import LETTERS
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.pairs import MARKS
from runner.datamodules.parts.prepared import FoundRows, Prepared
from runner.datamodules.parts.spans import AnswerTexts, RawSpan, SpanInputs, prepare_spans
from runner.datamodules.parts.targets import Targets
from runner.datamodules.parts.texts import TextSettings
from runner.errors import UserError
from runner.files import cache
from runner.files.tables import missing
from runner.text.vocabulary import Vocabulary

NAME = re.compile(r"(?<![\w'-])[a-z]+[,;:]? ([A-Z][a-z]+(?: [A-Z][a-z]+){0,3})\b(?! [A-Z])")
ASKED = "which name"  # what stands in a question in place of the name
PASSAGE = (40, 90)  # words of a passage, at least and at most
QUESTION = (6, 30)  # words of the sentence that becomes a question


@dataclass(kw_only=True, eq=False, repr=False)
class Squad(DataModule):
    """Questions about texts.

    Args:
        path: a file train-v1.1.json, or a folder of files; one whose name has train, dev or test in it belongs to that
            split. None = questions are made from the packaged reviews.
        made: questions that are made without a path, at least 30.
        tokenizer: word, regex, penn, char, bpe, wordpiece, or the folder of a pretrained model.
        vocab_size: at most this many words in the vocabulary, PAD, UNK and two marks included, at least 5.
        max_len: words of question, text and three marks in a row, at least 5; a longer text is read in several rows.
        min_count: words rarer than this in the training split become UNK, at least 1.
        bucket: whether rows of similar length come together in a training batch, so that there is less padding.
        short_first: in this many epochs at the beginning the rows come from short to long, at least 0.
    """

    path: str | None = None
    made: int = 4_000
    tokenizer: str = "regex"
    vocab_size: int = 20_000
    max_len: int = 384
    min_count: int = 1
    bucket: bool = True
    short_first: int = 0

    @property
    def text_settings(self) -> TextSettings:
        """How questions and texts are encoded."""
        return TextSettings("text", self.tokenizer, self.vocab_size, self.max_len, self.min_count)

    def find_questions(self) -> FoundRows[RawSpan]:
        """Return where the questions come from.

        Raises:
            UserError: they cannot be reached.
        """
        if self.path is None:
            found = Corpus().find()
            how = {"made": self.made, "seed": self.split_seed}
            return FoundRows(
                "made_spans",
                lambda: name_questions(found.documents(), **how),
                f"{self.made} questions made here from {found.source}",
                found.digest,
                how,
            )
        path = Path(self.path)
        files = [path] if path.is_file() else sorted(path.glob("*.json"))
        if not files:
            raise missing(path / "*.json" if path.is_dir() else path, self.path)
        digest = hashlib.sha256("".join(map(cache.file_digest, files)).encode()).hexdigest()
        names = [file.name for file in files]
        source = f"questions {', '.join(names)} of {self.path}"
        return FoundRows("squad", lambda: squad_questions(files), source, digest, {"files": names})

    def prepare(self) -> Prepared:
        return prepare_spans(self.find_questions(), self.text_settings, self.splitting)

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets]:
        words = Vocabulary([*MARKS, *LETTERS[: facts["vocab_size"] - len(MARKS)]], MARKS)
        settings = TextSettings("text", "word", facts["vocab_size"], facts["max_len"])
        return SpanInputs(settings.pipeline(), words), AnswerTexts([])


def squad_questions(files: list[Path]) -> Iterator[RawSpan]:
    """Yield the questions of files in the format of SQuAD; an article belongs to one split.

    Raises:
        UserError: a file is not of this format, or an answer does not stand where the file says.
    """
    origin = 0
    for file in files:
        own = OWN_SPLIT.search(file.name)
        split = own and NAMED[own[1]] if len(files) > 1 else None
        try:
            for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
                for paragraph in article["paragraphs"]:
                    yield from (span_of(paragraph["context"], asked, origin, split, file) for asked in paragraph["qas"])
                origin += 1
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise UserError(
                f"{file} is not in the format of SQuAD 1.1 (data, paragraphs, context, qas, question, answers, text, "
                f"answer_start): {type(error).__name__}: {error}"
            ) from error


def span_of(text: str, asked: dict[str, Any], origin: int, split: str | None, file: Path) -> RawSpan:
    """Return a question about a text.

    Raises:
        UserError: it has no answer, or the answer does not stand where the file says.
    """
    question, answers = asked["question"].strip(), [answer["text"] for answer in asked["answers"]]
    if not answers:
        raise UserError(
            f"{file}: the question {question[:60]!r} has no answer. Version 1.1 is read, in which every question has "
            "one: leave the others out of the file."
        )
    start = asked["answers"][0]["answer_start"]
    if text[start : start + len(answers[0])] != answers[0]:
        raise UserError(f"{file}: {answers[0][:60]!r} does not stand at character {start} of the text {text[:60]!r}.")
    return RawSpan(question, text, answers, start, origin, split)


def name_questions(documents: Iterable[Document], made: int, seed: int) -> Iterator[RawSpan]:
    """Yield questions about passages of documents, one of each at most, see the top of this file.

    Args:
        documents: of any text.
        made: questions that are wanted.
        seed: of the choice between the names of a passage.
    """
    draw, count = random.Random(seed), 0
    for origin, document in enumerate(documents):
        if count == made:
            return
        passage = first_sentences(document.sentences)
        text = " ".join(passage)
        found = [(sentence, name) for sentence in passage for name in names_in(sentence) if text.count(name) == 1]
        if found:
            sentence, name = draw.choice(found)
            yield RawSpan(sentence.replace(name, ASKED, 1), text, [name], text.index(name), origin)
            count += 1


def first_sentences(sentences: Iterable[str]) -> list[str]:
    """Return the first sentences of a document that make a passage; nothing if they are too few words."""
    passage, words = list[str](), 0
    for sentence in sentences:
        words += len(sentence.split())
        if words > PASSAGE[1]:
            break
        passage.append(sentence.strip())
    return passage if sum(len(sentence.split()) for sentence in passage) >= PASSAGE[0] else []


def names_in(sentence: str) -> list[str]:
    """Return the names in a sentence that is neither too short nor too long to be asked about."""
    return NAME.findall(sentence) if QUESTION[0] <= len(sentence.split()) <= QUESTION[1] else []
