"""How a text becomes tokens, as set by a run and stored with its model."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import cast

from runner.errors import UserError
from runner.text.tokenizers import Learning, Tokenizer, tokenizer, truncated
from runner.text.words import stemmer, stop_words


@dataclass(frozen=True)
class TokenSettings:
    """How texts are cut into tokens.

    Args:
        tokenizer: space, word, regex, penn, char, jieba, phrases, bpe, wordpiece, or the dotted path of a function
            text -> tokens or of a class that learns one.
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
    """The function text -> tokens: tokeniser, then stop words, then stems, then the cut to a length.

    Args:
        settings: how texts are cut into tokens.
        max_len: tokens of a text that are kept; None = all.
        truncate: which part of a longer text is kept: head, tail or both.
        learned: the state of a tokeniser that learns; None for others, and before it has learned.
        left_out: the stop words, if they are already known: a model stores its own list.

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
    ):
        if (settings.stopwords or settings.stem) and settings.learns:
            raise UserError(
                f"data.tokenizer={settings.tokenizer} makes pieces of words: leave data.stopwords and data.stem out"
            )
        self.settings, self.max_len, self.truncate, self.learned = settings, max_len, truncate, learned
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
        tokens = self.cut(text)
        if self.left_out:
            tokens = [token for token in tokens if token not in self.left_out]
        if self.stems:
            tokens = self.stems(tokens)
        return truncated(tokens, None if self.max_len is None else max(self.max_len - marks, 0), self.truncate)

    def joined(self, tokens: list[str]) -> str:
        """Return the text of tokens, as far as they determine it."""
        if self.settings.tokenizer in ("char", "jieba"):
            return "".join(tokens)
        join = getattr(tokenizer(self.settings.tokenizer), "joined", " ".join)
        return join(tokens)

    def state(self) -> dict:
        """Return what `Pipeline.from_state` needs, JSON-able."""
        return {
            **asdict(self.settings),
            "max_len": self.max_len,
            "truncate": self.truncate,
            "subword": self.learned,
            "left_out": sorted(self.left_out),
        }

    @classmethod
    def from_state(cls, state: dict) -> "Pipeline":
        """Return the pipeline whose `state` this is."""
        settings = TokenSettings(state["tokenizer"], state.get("stopwords"), state.get("stem"))
        learned, left_out = state.get("subword"), state.get("left_out", [])
        return cls(settings, state["max_len"], state["truncate"], learned, left_out)
