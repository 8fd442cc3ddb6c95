"""The words of a text of any size, for language models and word vectors: text files, or the packaged film reviews.

A text is a number of documents of sentences; every sentence ends with an end mark, which also stands before the first
one. Prepared once: `tokens.npy` (all tokens, int32), `starts.npy` and `sentences.npy` (where documents and sentences
start), the documents of each split, `counts.npy` and `meta.json` are in the cache and are memory-mapped.
"""

import hashlib
import json
import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from runner.datamodules.movie_reviews import packaged, shuffled_reviews
from runner.datamodules.parts.batches import Split
from runner.datamodules.parts.codecs import Codec, TextInputs, cells
from runner.datamodules.parts.contexts import ContextSplit
from runner.datamodules.parts.masked import MASKED_MARKS, MaskedSplit, MaskedTexts
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import OWN, PARTS
from runner.datamodules.parts.targets import Targets
from runner.datamodules.parts.texts import number_tokens
from runner.datamodules.parts.token_store import LaneSplit, TokenStore, WindowSplit
from runner.datamodules.text_data import TextData
from runner.errors import UserError
from runner.files import cache
from runner.files.tables import TableFile, listed, missing
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.sentences import DOCUMENTS, FINISHED, SENTENCES, pieces
from runner.text.vocabulary import END, SPECIALS, UNK, Vocabulary

TEXT_MARKS = (*SPECIALS, END)  # special tokens of the vocabulary of a text
BUFFER = 1 << 20  # tokens written at a time
OWN_SPLIT = re.compile(r"(?:^|[._-])(train|valid|val|dev|test)(?:[._-]|$)")  # in the name of a file
NAMED = {"train": "train", "valid": "val", "val": "val", "dev": "val", "test": "test"}


class Document(NamedTuple):
    """The sentences of a document, and the split the source has put it into (None = to be split here)."""

    sentences: Iterable[str]
    split: str | None = None


class Reading(NamedTuple):
    """A text that can be read.

    Args:
        documents: starts a new stream of the documents.
        source: one line that says where the text comes from.
        digest: SHA-256 of what is read.
    """

    documents: Callable[[], Iterable[Document]]
    source: str
    digest: str


@dataclass(kw_only=True, eq=False, repr=False)
class Corpus(TextData):
    """Windows or sentences of a text; whole documents belong to a split.

    After `setup()` there are also `store` and `sentences` (the tokens by documents and by sentences), `members`
    (numbers of the documents of each split), `sentences_of(split)` and `counts` (how often each word is in training).

    Args:
        path: a text file, or a folder of them; a file whose name has train, valid or test in it belongs to that split.
            None = the packaged IMDB reviews.
        files: pattern of the names of the files in a folder.
        encoding: of the files.
        document: what is one document: a line, a paragraph (ends with an empty line) or a whole file.
        sentence: where a sentence ends: at the marks . ! ? or at the end of a line.
        max_words: documents are read until there are so many words, at least 1; None = all.
        view: what a row of a batch is: windows of a document, the same as a stream in which each row continues that of
            the batch before, sentences, contexts (words with their neighbours, for word vectors), or masked (two
            sentences with hidden words).
        context_len: tokens of a window, at least 1.
        max_len: tokens of a row with view=sentences, at least 1; the rest of a longer sentence is a row of its own.
            With view=masked those of both sentences and their marks; the rest is left out.
        contexts: settings of view=contexts, see `ContextSplit`; None = its defaults.
        masks: settings of view=masked, see `MaskedSplit`; None = its defaults.
    """

    path: str | None = None
    files: str = "*"
    encoding: str = "utf-8"
    document: Literal["line", "paragraph", "file"] = "line"
    sentence: Literal["marks", "line"] = "marks"
    max_words: int | None = None
    view: Literal["windows", "stream", "sentences", "contexts", "masked"] = "windows"
    context_len: int = 32
    max_len: int = 64
    contexts: dict[str, Any] | None = None
    masks: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.store: TokenStore
        self.sentences: TokenStore
        self.members: dict[str, np.ndarray] = {}
        self.counts = np.zeros(0, dtype=np.int64)  # how often each entry of the vocabulary occurs in training, (V,)

    @property
    def marks(self) -> Sequence[str]:
        """Special tokens of the vocabulary."""
        return MASKED_MARKS if self.view == "masked" else TEXT_MARKS

    def find(self) -> Reading:
        """Return the text.

        Raises:
            UserError: it cannot be reached.
        """
        if self.path is None:
            found = packaged("imdb")
            return Reading(self._packaged, found.source, found.digest)
        path = Path(self.path)
        files = [path] if path.is_file() else sorted(file for file in path.glob(self.files) if file.is_file())
        if not path.exists():
            raise missing(path, self.path)
        if not files:
            raise UserError(f"data.path={self.path}: no file of this folder is called {self.files} (data.files).")
        if files == [path]:
            return Reading(lambda: self._in_files(files), f"text {self.path}", cache.file_digest(path))
        digests = "".join(f"{file.name} {cache.file_digest(file)}\n" for file in files)
        source = f"text {listed(file.name for file in files)} in {self.path}"
        return Reading(lambda: self._in_files(files), source, hashlib.sha256(digests.encode()).hexdigest())

    def prepare(self) -> Prepared:
        found = self.find()
        settings = asdict(self.encoded()) | dict.fromkeys(("max_len", "truncate"))
        reading = {key: getattr(self, key) for key in ("document", "sentence", "max_words", "encoding", "files")}
        reading |= {"marks": self.marks} if self.marks != TEXT_MARKS else {}
        kind = type(self).__name__.lower()
        key = {"digest": found.digest, "settings": settings, "splitting": asdict(self.splitting), "reading": reading}
        folder = cache.prepared(kind, key, lambda part: self._write(part, found.documents))
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        tokens = np.load(folder / "tokens.npy", mmap_mode="r")
        self.store = TokenStore(tokens, np.load(folder / "starts.npy", mmap_mode="r"))
        self.sentences = TokenStore(tokens, np.load(folder / "sentences.npy", mmap_mode="r"))
        self.members = {part: np.load(folder / f"{part}.npy") for part in PARTS}
        self.counts = np.load(folder / "counts.npy")
        inputs = self._codec(meta["vocabulary"], meta["subword"])
        made: dict[str, Any] = {part: VIEWS[self.view](self, part) for part in PARTS}
        rows = DocumentRows(self.store, self.members, inputs)
        return Prepared(inputs, None, **made, rows=rows, source=found.source, digest=found.digest)

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets | None] | None:
        words = [chr(ord("a") + number) for number in range(facts["vocab_size"] - len(self.marks))]
        return self._codec([*self.marks, *words]), None

    # Views.

    def windows(self, part: str) -> Split:
        """Windows of the documents, shuffled in training."""
        return WindowSplit(self.store, self.context_len, self.members[part])

    def stream(self, part: str) -> Split:
        """The same windows in lanes."""
        return LaneSplit(self.store, self.context_len, self.members[part])

    def single_sentences(self, part: str) -> Split:
        """Sentences, shuffled in training."""
        return WindowSplit(self.sentences, self.max_len, self.sentences_of(part))

    def neighbours(self, part: str) -> Split:
        """The words of the documents with their neighbours; special ones are left out."""
        counts, members = self.counts.copy(), self.members[part]
        counts[: len(TEXT_MARKS)] = 0
        documents = np.stack([self.store.starts[members], self.store.starts[members + 1]], axis=1)
        return ContextSplit(self.store.tokens, documents, counts, **(self.contexts or {}))

    def masked(self, part: str) -> Split:
        """Two sentences in each row with hidden words, shuffled in training."""
        begin, end = self.stretches(part)
        index = self.sentences_of(part)
        return MaskedSplit(self.sentences, index, end - begin, len(self.counts), self.max_len, **(self.masks or {}))

    def sentences_of(self, part: str) -> np.ndarray:
        """Numbers of the sentences of a split, int64."""
        begin, end = self.stretches(part)
        ends = (end - begin).cumsum()
        return np.arange(ends[-1] if len(ends) else 0) + np.repeat(end - ends, end - begin)

    def stretches(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the first sentence of each document of a split, and of the one after its last, int64 (D,)."""
        first = np.searchsorted(self.sentences.starts, self.store.starts)  # of every document, and the end
        return first[self.members[part]], first[self.members[part] + 1]

    # Reading.

    def _pipeline(self, learned: dict | None = None) -> Pipeline:
        return Pipeline(TokenSettings(self.tokenizer, self.stopwords, self.stem), learned=learned)

    def _codec(self, tokens: Sequence[str], learned: dict | None = None) -> TextInputs:
        """What encodes raw rows: texts to be continued, or with hidden words."""
        pipeline, vocabulary = self._pipeline(learned), Vocabulary(tokens, self.marks)
        if self.view == "masked":
            return MaskedTexts("text", Pipeline(pipeline.settings, self.max_len, learned=learned), vocabulary)
        return Prompt("text", pipeline, vocabulary, self.sentence)

    def _packaged(self) -> Iterator[Document]:
        for text in shuffled_reviews():
            yield Document(SENTENCES[self.sentence]([text]))

    def _in_files(self, files: Sequence[Path]) -> Iterator[Document]:
        for file in files:
            own = OWN_SPLIT.search(file.name)
            rows = TableFile(file, encoding=self.encoding, format="txt").rows()
            for lines in DOCUMENTS[self.document](row["text"] for _, row in rows):
                yield Document(SENTENCES[self.sentence](lines), own and NAMED[own[1]])

    def _write(self, folder: Path, documents: Callable[[], Iterable[Document]]) -> None:
        """Fill a prepared folder; a subword tokeniser is trained on the training split."""
        learns, learned = TokenSettings(self.tokenizer).learns, None
        found = _stream(folder, documents(), str.split if learns else self._pipeline(), self.max_words)
        splits = self.splitting(len(found.own), None, found.own if found.own.any() else None)
        if learns:
            train, read = set(splits.train.tolist()), len(found.own)
            texts = (text for number, document in enumerate(islice(documents(), read)) if number in train
                     for text in document.sentences)  # fmt: skip
            settings = TokenSettings(self.tokenizer)
            size = self.vocab_size - len(self.marks) + len(SPECIALS)
            learned = settings.learned_from(texts, size, self.min_count).state()
            found = _stream(folder, islice(documents(), read), self._pipeline(learned), None)
        offsets = np.array([0, *found.starts[1:]])  # the first token, an end mark, counts with the first document
        vocabulary = number_tokens(folder, self.encoded(), found.words, offsets, splits.train, self.marks)
        np.save(folder / "starts.npy", found.starts)
        np.save(folder / "sentences.npy", found.sentences)
        for part, index in zip(PARTS, splits, strict=True):
            np.save(folder / f"{part}.npy", index)
        meta = {"vocabulary": vocabulary.tokens, "subword": learned}
        (folder / "meta.json").write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")


VIEWS: dict[str, Callable[[Corpus, str], Split]] = {
    "windows": Corpus.windows,
    "stream": Corpus.stream,
    "sentences": Corpus.single_sentences,
    "contexts": Corpus.neighbours,
    "masked": Corpus.masked,
}


class Prompt(TextInputs):
    """Texts to be continued: an end mark, as before every document, and sentences, of which the last may be unfinished.

    Args:
        column: name of the raw column.
        pipeline: the function text -> tokens.
        vocabulary: numbers of the tokens.
        sentence: where a sentence ends, a key of SENTENCES.
    """

    kind = "prompt"

    def __init__(self, column: str, pipeline: Pipeline, vocabulary: Vocabulary, sentence: str):
        super().__init__(column, pipeline, vocabulary)
        self.sentence = sentence

    def tokens(self, rows: list[dict]) -> list[list[str]]:
        """Return the tokens of each row, an end mark before the first sentence and after every finished one."""
        return [self.marked(str(text)) for text in cells(rows, self.column)]

    def marked(self, text: str) -> list[str]:
        """Return the tokens of one text; one without tokens gets one unknown token."""
        sentences = filter(None, map(self.pipeline, SENTENCES[self.sentence](text.splitlines())))
        tokens = [token for sentence in sentences for token in (END, *sentence)]
        finished = text.endswith("\n") or (self.sentence == "marks" and FINISHED.search(text))
        return [*(tokens or [END, SPECIALS[UNK]]), *([END] if finished else [])]

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of token numbers, each sentence in a line; an unknown token is shown as U+FFFD."""
        lines: list[list[int]] = [[]]
        for number in numbers:
            lines[-1].append(number)
            if number == self.vocabulary.end:
                lines.append([])
        return "\n".join(super(Prompt, self).decode(line) for line in lines).strip("\n")

    def state(self) -> dict[str, Any]:
        return super().state() | {"sentence": self.sentence}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(state["column"], Pipeline.from_state(state), Vocabulary(**state["vocabulary"]), state["sentence"])


class DocumentRows:
    """Raw rows of a corpus: its documents as text.

    Args:
        store: their tokens.
        members: numbers of the documents of each split.
        inputs: decodes tokens.
    """

    def __init__(self, store: TokenStore, members: dict[str, np.ndarray], inputs: TextInputs):
        self.store, self.members, self.inputs = store, members, inputs

    def raw(self, part: str, limit: int | None = None) -> list[dict]:
        documents = self.store.documents(self.members[part][:limit])
        return [{self.inputs.column: self.inputs.decode(document.tolist())} for document in documents]

    def targets(self, part: str) -> np.ndarray:
        raise UserError("A text has no labels: use a language model, such as model=word_lm.")


# Writing.


class _Numbered(NamedTuple):
    """The words by their provisional numbers; where documents and sentences start; where the source puts each
    document, see `splits`."""

    words: list[str]
    starts: np.ndarray
    sentences: np.ndarray
    own: np.ndarray


def _stream(
    folder: Path, documents: Iterable[Document], cut: Callable[[str], list[str]], limit: int | None
) -> _Numbered:
    """Write provisional token numbers of documents, until there are `limit` tokens, to `provisional.bin`."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # a new word gets the next number
    written = array("i", [numbers[END]])
    done, starts, sentences, own = 0, array("q", [1]), array("q", [1]), array("b")
    with open(folder / "provisional.bin", "wb") as file:
        for document in documents:
            for text in chain.from_iterable(map(pieces, document.sentences)):
                tokens = cut(text)
                if tokens:
                    written.extend(map(numbers.__getitem__, tokens))
                    written.append(numbers[END])
                    sentences.append(done + len(written))
            starts.append(done + len(written))
            own.append(OWN[document.split])
            if len(written) > BUFFER:
                done += len(written)
                written.tofile(file)
                written = array("i")
            if limit is not None and starts[-1] >= limit:
                break
        written.tofile(file)
    if starts[-1] == 1:
        raise UserError("The text has no words.")
    return _Numbered(list(numbers), *(np.array(values) for values in (starts, sentences, own)))
