"""Pieces of words, learned from the training split: byte-pair encoding and WordPiece.

Sources: Rico Sennrich, Barry Haddow and Alexandra Birch, Neural Machine Translation of Rare Words with Subword Units,
ACL 2016, arXiv:1508.07909; Mike Schuster and Kaisuke Nakajima, Japanese and Korean Voice Search, ICASSP 2012, as used
in BERT, arXiv:1810.04805. The work is done by the package tokenizers.
"""

import importlib.util
import json
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from runner.errors import UserError
from runner.text.vocabulary import SPECIALS, UNK

JOINED = "##"  # begins a piece of WordPiece that does not begin a word


class Subwords:
    """Pieces of words. A subclass defines how they are found.

    Args:
        learned: what `learn` or an earlier run has found, as the package tokenizers writes it.

    Raises:
        UserError: the package is not installed.
    """

    name: ClassVar[str]

    def __init__(self, learned: dict):
        self.learned = learned
        self.pieces = self.package().Tokenizer.from_str(json.dumps(learned))

    def __call__(self, text: str) -> list[str]:
        return self.pieces.encode(text).tokens

    @property
    def tokens(self) -> list[str]:
        """The pieces in the order of their numbers, special ones first."""
        numbers = self.pieces.get_vocab(with_added_tokens=True)
        return sorted(numbers, key=numbers.__getitem__)

    @classmethod
    def learn(cls, texts: Iterable[str], vocab_size: int, min_count: int) -> Self:
        """Learn pieces from texts.

        Args:
            texts: of the training split.
            vocab_size: at most this many pieces, including the special ones.
            min_count: rarer pairs are not joined.
        """
        settings = {
            "vocab_size": vocab_size,
            "min_frequency": min_count,
            "special_tokens": list(SPECIALS),
            "show_progress": False,
        }
        made, trainer = cls.untrained(cls.package(), settings)
        made.train_from_iterator(texts, trainer)
        return cls(json.loads(made.to_str()))

    @classmethod
    def untrained(cls, package: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
        """Return a tokeniser of the package that has learned nothing yet, and what trains it."""
        raise NotImplementedError(f"{cls.__name__} has to define untrained()")

    def joined(self, tokens: list[str]) -> str:
        """Return the text of pieces."""
        raise NotImplementedError

    def state(self) -> dict:
        """Return what the constructor needs, JSON-able."""
        return self.learned

    @classmethod
    def package(cls) -> Any:
        if importlib.util.find_spec("tokenizers") is None:
            raise UserError(f'data.tokenizer={cls.name} needs the package tokenizers: pip install "runner[data]"')
        import tokenizers

        return tokenizers


class BytePairs(Subwords):
    """Byte-pair encoding: a piece at the beginning of a word begins with a low line.

    Args:
        learned: see `Subwords`.
    """

    name = "bpe"

    @classmethod
    def untrained(cls, package: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
        made = package.Tokenizer(package.models.BPE(unk_token=SPECIALS[UNK]))
        normal, before = package.normalizers, package.pre_tokenizers
        made.normalizer = normal.Sequence([normal.NFC(), normal.Lowercase()])
        made.pre_tokenizer = before.Sequence([before.Metaspace(), before.Punctuation()])
        return made, package.trainers.BpeTrainer(**settings)

    def joined(self, tokens: list[str]) -> str:
        return "".join(tokens).replace("\u2581", " ").strip()


class WordPieces(Subwords):
    """WordPiece: a piece that is not at the beginning of a word begins with ##.

    Args:
        learned: see `Subwords`.
    """

    name = "wordpiece"

    @classmethod
    def untrained(cls, package: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
        made = package.Tokenizer(package.models.WordPiece(unk_token=SPECIALS[UNK], max_input_chars_per_word=100))
        made.normalizer = package.normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = package.pre_tokenizers.BertPreTokenizer()
        return made, package.trainers.WordPieceTrainer(**settings, continuing_subword_prefix=JOINED)

    def joined(self, tokens: list[str]) -> str:
        return " ".join(tokens).replace(f" {JOINED}", "")
