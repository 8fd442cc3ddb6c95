"""How a text becomes tokens, as a run has settled it, and as its model takes it along."""

from dataclasses import asdict, dataclass
from typing import Any

from runner.errors import UserError
from runner.text import subwords
from runner.text.tokenizers import TRAINED, tokenizer, truncated
from runner.text.words import stemmer, stop_words


@dataclass(frozen=True)
class TokenSettings:
    """How texts are cut into tokens.

    Args:
        tokenizer: word, regex, penn, char, jieba, bpe, wordpiece or the dotted path of a function text -> tokens.
        stopwords: language whose stop words are left out; None = none are.
        stem: language whose stemmer cuts the words; None = they stay as they are.
    """

    tokenizer: str = "word"
    stopwords: str | None = None
    stem: str | None = None

    @property
    def is_trained(self) -> bool:
        """Whether the tokeniser learns from the training split."""
        return self.tokenizer in TRAINED

    @property
    def finds_words(self) -> bool:
        """Whether the words are others than those that stand between blanks and marks in the text."""
        return self.tokenizer not in ("word", "regex", "penn") or bool(self.stopwords or self.stem)


class Pipeline:
    """The function text -> tokens: tokeniser, then stop words, then stems, then the cut to a length.

    Args:
        settings: how texts are cut into tokens.
        max_len: tokens kept of a text; None = all.
        truncate: which part of a longer text is kept: head, tail or both.
        subword: what bpe or wordpiece has learnt; None for others, and before it is learnt.
        left_out: the stop words, where they are known already: a model takes its own list along.

    Raises:
        UserError: a name is not known, a package is missing, or pieces of words are to be stemmed.
    """

    def __init__(
        self,
        settings: TokenSettings,
        max_len: int | None = None,
        truncate: str = "head",
        subword: dict | None = None,
        left_out: list[str] | None = None,
    ):
        if settings.is_trained and (settings.stopwords or settings.stem):
            raise UserError(
                f"data.tokenizer={settings.tokenizer} makes pieces of words: leave data.stopwords and data.stem out"
            )
        self.settings, self.max_len, self.truncate, self.subword = settings, max_len, truncate, subword
        if left_out is None:
            left_out = stop_words(settings.stopwords) if settings.stopwords else []
        self.left_out = frozenset(left_out)
        self.stems = stemmer(settings.stem) if settings.stem else None
        self.cut: Any = None  # the tokeniser, found when the first text comes

    def __call__(self, text: str) -> list[str]:
        """Return the tokens of a text that a net gets to see."""
        if self.cut is None:
            assert self.subword or not self.settings.is_trained, "the pieces have to be learnt first"
            self.cut = subwords.tokenizer(self.subword) if self.subword else tokenizer(self.settings.tokenizer)
        tokens = self.cut(text)
        if self.left_out:
            tokens = [token for token in tokens if token not in self.left_out]
        if self.stems:
            tokens = self.stems(tokens)
        return truncated(tokens, self.max_len, self.truncate)

    def state(self) -> dict:
        """Return what `Pipeline.from_state` needs, JSON-able."""
        return {
            **asdict(self.settings),
            "max_len": self.max_len,
            "truncate": self.truncate,
            "subword": self.subword,
            "left_out": sorted(self.left_out),
        }

    @classmethod
    def from_state(cls, state: dict) -> "Pipeline":
        """Return the pipeline whose `state` this is."""
        settings = TokenSettings(state["tokenizer"], state.get("stopwords"), state.get("stem"))
        subword, left_out = state.get("subword"), state.get("left_out", [])
        return cls(settings, state["max_len"], state["truncate"], subword, left_out)
