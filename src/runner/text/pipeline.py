"""How a text becomes tokens, as set by a run and stored with its model."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import cast

from runner.errors import UserError
from runner.text.sentences import at_marks
from runner.text.tokenizers import Learning, Tokenizer, tokenizer, truncated
from runner.text.vocabulary import PAD, SPECIALS
from runner.text.words import stemmer, stop_words


@dataclass(frozen=True)
class TokenSettings:
    """How texts are cut into tokens.

    Args:
        tokenizer: space, word, regex, penn, char, jieba, phrases, bpe, wordpiece, the dotted path of a function
            text -> tokens or of a class that learns one, or the folder of a pretrained model.
        stopwords: language whose stop words are left out; None = none.
        stem: language whose stemmer cuts the words; None = no stemming.
    """

    tokenizer: str = "word"
    stopwords: str | None = None
    stem: str | None = None

    @property
    def learns(self) -> bool:
        """Whether the tokeniser learns from the training split."""
        return hasattr(tokenizer(self.tokenizer), "learn")

    def learned_from(self, texts: Iterable[str], vocab_size: int, min_count: int) -> Learning:
        """Return the tokeniser, trained on these texts."""
        return cast(type[Learning], tokenizer(self.tokenizer)).learn(texts, vocab_size, min_count)

    @property
    def finds_words(self) -> bool:
        """Whether the tokens are not simply the words between spaces and punctuation."""
        return self.tokenizer not in ("word", "regex", "penn") or bool(self.stopwords or self.stem)


class Pipeline:
    """The function text -> tokens: tokeniser, stop words, stems, the cut to a length, the places of sentences.

    Args:
        settings: how texts are cut into tokens.
        max_len: tokens of a text that are kept; None = all.
        truncate: which part of a longer text is kept: head, tail or both.
        learned: the state of a tokeniser that learns; None for others, and before it has learned.
        left_out: the stop words, if they are already known: a model stores its own list.
        sentence_len: places of a sentence, for nets that read sentence by sentence: padding follows its tokens up to
            there, and the rest of a longer one is a sentence of its own; None = a text is one row of tokens.

    Raises:
        UserError: a name is not known, a package is missing, or pieces of words are to be stemmed.
    """

    def __init__(
        self,
        settings: TokenSettings,
        max_len: int | None = None,
        truncate: str = "head",
        learned: dict | None = None,
        left_out: list[str] | None = None,
        sentence_len: int | None = None,
    ):
        if (settings.stopwords or settings.stem) and settings.learns:
            raise UserError(
                f"data.tokenizer={settings.tokenizer} makes pieces of words: leave data.stopwords and data.stem out"
            )
        if sentence_len is not None and sentence_len < 1:
            raise UserError(f"data.sentence_len is at least 1, received {sentence_len}")
        self.settings, self.max_len, self.truncate, self.learned = settings, max_len, truncate, learned
        self.sentence_len = sentence_len
        if left_out is None:
            left_out = stop_words(settings.stopwords) if settings.stopwords else []
        self.left_out = frozenset(left_out)
        self.stems = stemmer(settings.stem) if settings.stem else None

    @cached_property
    def cut(self) -> Tokenizer:
        """The tokeniser itself, loaded for the first text."""
        found = tokenizer(self.settings.tokenizer)
        if self.learned is None:
            assert not self.settings.learns, "the pieces have to be learned first"
            return cast(Tokenizer, found)
        return cast(type[Learning], found)(self.learned)

    def __call__(self, text: str, marks: int = 0) -> list[str]:
        """Return the tokens of a text that a net sees, leaving room for `marks` more."""
        most = None if self.max_len is None else max(self.max_len - marks, 0)
        if self.sentence_len is None:
            return truncated(self.words(text), most, self.truncate)
        sentences = map(self.words, at_marks(text.splitlines()))
        numbered = [(number, word) for number, words in enumerate(sentences) for word in words]
        kept = groupby(truncated(numbered, most, self.truncate), key=itemgetter(0))
        return in_places([[word for _, word in sentence] for _, sentence in kept], self.sentence_len)

    def words(self, text: str) -> list[str]:
        """Return all tokens of a text, without stop words, as stems."""
        tokens = self.cut(text)
        if self.left_out:
            tokens = [token for token in tokens if token not in self.left_out]
        return self.stems(tokens) if self.stems else tokens

    def joined(self, tokens: list[str]) -> str:
        """Return the text of tokens, as far as they determine it."""
        if self.settings.tokenizer in ("char", "jieba"):
            return "".join(tokens)
        return getattr(self.cut, "joined", " ".join)(tokens)

    def state(self) -> dict:
        """Return what `Pipeline.from_state` needs, JSON-able."""
        return {
            **asdict(self.settings),
            "max_len": self.max_len,
            "truncate": self.truncate,
            "subword": self.learned,
            "left_out": sorted(self.left_out),
            "sentence_len": self.sentence_len,
        }

    @classmethod
    def from_state(cls, state: dict) -> "Pipeline":
        """Return the pipeline whose `state` this is."""
        settings = TokenSettings(state["tokenizer"], state.get("stopwords"), state.get("stem"))
        learned, left_out = state.get("subword"), state.get("left_out", [])
        return cls(settings, state["max_len"], state["truncate"], learned, left_out, state.get("sentence_len"))


def in_places(sentences: list[list[str]], size: int) -> list[str]:
    """Return sentences one after another in `size` places each, padding behind all but the last."""
    rows = [words[start : start + size] for words in sentences for start in range(0, len(words), size)]
    filled = [row + [SPECIALS[PAD]] * (size - len(row)) for row in rows[:-1]]
    return [token for row in [*filled, *rows[-1:]] for token in row]
