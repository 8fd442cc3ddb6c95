"""What all datasets of texts share: how a text becomes the numbers of its tokens."""

from dataclasses import dataclass
from typing import Literal

from runner.datamodules.base import DataModule
from runner.datamodules.parts.texts import TextSettings


@dataclass(kw_only=True, eq=False, repr=False)
class TextData(DataModule):
    """Texts. A subclass writes `prepare`, with `prepare_texts` and `encoded`.

    Args:
        vocab_size: at most this many words in the vocabulary, including PAD and UNK, at least 3.
        max_len: words of a text that are kept, at least 1.
        tokenizer: space, word, regex, penn, char, jieba, phrases, bpe, wordpiece, the dotted path of a function
            text -> tokens or of a class that learns one, or the folder of a pretrained model.
        min_count: words rarer than this in the training split become UNK, at least 1.
        truncate: which part of a longer text is kept: head, tail or both.
        stopwords: language whose stop words are left out, such as english or chinese; None = none.
        stem: language whose stemmer cuts the words, such as english; None = no stemming.
        sentence_len: places of a sentence, at least 1, for models that read sentence by sentence; the rest of a longer
            one is a sentence of its own. None = a text is one row of words.
        bucket: whether texts of similar length come together in a training batch, so that there is less padding.
        short_first: in this many epochs at the beginning the texts come from short to long, at least 0.
    """

    vocab_size: int = 10_000
    max_len: int = 256
    tokenizer: str = "word"
    min_count: int = 1
    truncate: Literal["head", "tail", "both"] = "head"
    stopwords: str | None = None
    stem: str | None = None
    sentence_len: int | None = None
    bucket: bool = False
    short_first: int = 0

    def encoded(self, column: str = "text") -> TextSettings:
        """How the texts of a raw column are encoded."""
        return TextSettings(
            column,
            self.tokenizer,
            self.vocab_size,
            self.max_len,
            self.min_count,
            self.truncate,
            self.stopwords,
            self.stem,
            self.sentence_len,
        )
