"""Tokenisers: functions from a text to its tokens, or classes that learn such a function from the training split.

Any function text -> tokens of the user can be named by its dotted path, and so can a class like those of
`runner.text.subwords` (`Learning` says what it needs).
"""

import functools
import importlib
import importlib.util
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Protocol, Self

from runner.config import safety
from runner.errors import UserError, closest
from runner.files import cache
from runner.text.pretrained_pieces import InFolder
from runner.text.subwords import BytePairs, WordPieces
from runner.text.vocabulary import Vocabulary

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_PENN = re.compile(r"n't\b|'(?:s|m|d|re|ve|ll)\b|\w+?(?=n't\b)|\w+|[^\w\s]")
_ENDING = r"['\u2019](?:s|re|ve|ll|m|d)\b"  # of a word: it's
_CASED = re.compile(
    rf"{_ENDING}|(?:[A-Z]\.)+(?=\W|\Z)|\w+(?:[-.,:/&]\w+|(?!{_ENDING})['\u2019]\w+)*|--+|\.\.+|[^\w\s]", re.IGNORECASE
)
_WORD_OR_MARK = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")

Tokenizer = Callable[[str], list[str]]


class Learning(Protocol):
    """A tokeniser that learns from the training split; the constructor takes what `state` returned."""

    def __init__(self, learned: dict): ...

    def __call__(self, text: str) -> list[str]: ...

    @property
    def tokens(self) -> list[str]:
        """All tokens in the order of their numbers, PAD and UNK first, or as `specials` of the tokeniser says."""

    @classmethod
    def learn(cls, texts: Iterable[str], vocab_size: int, min_count: int) -> Self:
        """Learn from the texts of the training split."""

    def state(self) -> dict:
        """Return what the constructor needs, JSON-able."""


def space(text: str) -> list[str]:
    """Return what stands between spaces, as it is: for texts that have been cut already."""
    return text.split()


def word(text: str) -> list[str]:
    """Return the words in lower case; punctuation is dropped, apostrophes inside a word stay."""
    return _WORD.findall(text.lower())


class Phrases:
    """Words in lower case; two that stand together unusually often are one token, such as new_york.

    Source: Tomas Mikolov et al. 2013, arXiv:1310.4546, section 4, equation 6: a pair is a phrase where
    (count of the pair - d) / (count of the first * count of the second), times the number of all words, is above a
    threshold. As in the authors' program the threshold is 100 and d is the smallest count of a word, here at least 5.

    Args:
        learned: "pairs" of words that are phrases, and all "tokens" in the order of their numbers.
    """

    threshold, discount, most_pairs = 100, 5, 5_000_000

    def __init__(self, learned: dict):
        self.learned, self.tokens = learned, list(learned["tokens"])
        self.pairs = {tuple(pair) for pair in learned["pairs"]}

    def __call__(self, text: str) -> list[str]:
        tokens, words = [], word(text)
        place = 0
        while place < len(words):
            pair = tuple(words[place : place + 2])
            tokens.append("_".join(pair) if pair in self.pairs else words[place])
            place += 2 if pair in self.pairs else 1
        return tokens

    @classmethod
    def learn(cls, texts: Iterable[str], vocab_size: int, min_count: int) -> Self:
        """Learn pairs from texts.

        Args:
            texts: of the training split.
            vocab_size: at most this many tokens, including the special ones.
            min_count: rarer tokens are left out.
        """
        counts: Counter[str] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        least, discount = 1, max(min_count, cls.discount)
        for text in texts:
            words = word(text)
            counts.update(words)
            pairs.update(pairwise(words))
            if len(pairs) > cls.most_pairs:  # as in the authors' program: ever more frequent pairs are forgotten
                pairs = Counter({pair: count for pair, count in pairs.items() if count > least})
                least += 1
        total = counts.total()
        found = {
            (one, other): count
            for (one, other), count in pairs.items()
            if (count - discount) * total > cls.threshold * counts[one] * counts[other]
        }
        for (one, other), count in found.items():
            counts[one] -= count
            counts[other] -= count
            counts[f"{one}_{other}"] = count
        vocabulary = Vocabulary.build({token: max(count, 0) for token, count in counts.items()}, vocab_size, min_count)
        return cls({"pairs": sorted(found), "tokens": vocabulary.tokens})

    def state(self) -> dict:
        """Return what the constructor needs, JSON-able."""
        return self.learned


def cased(text: str) -> list[str]:
    """Return words as written and marks, as the CoNLL data have them: 's apart, U.S., 2-0 and 1996-08-22 whole."""
    return _CASED.findall(text)


def regex(text: str) -> list[str]:
    """Return the words in lower case and every punctuation mark as a separate token."""
    return _WORD_OR_MARK.findall(text.lower())


def penn(text: str) -> list[str]:
    """Return words and marks in lower case, contractions in two as in the Penn Treebank and GloVe: did n't."""
    return _PENN.findall(text.lower().replace("\u2019", "'"))


def char(text: str) -> list[str]:
    """Return the characters."""
    return list(text)


def jieba(text: str) -> list[str]:
    """Return the words of a Chinese text in lower case; spaces and punctuation are dropped.

    Source: the package jieba: the likeliest path through a graph of all words of a dictionary, and a hidden Markov
    model for unknown words.

    Raises:
        UserError: the package is not installed.
    """
    return [token for token in _chinese()(text.lower()) if _WORD.match(token)]


@functools.cache
def _chinese() -> Tokenizer:
    """Load the dictionary of jieba, which takes a second and is done once."""
    if importlib.util.find_spec("jieba") is None:
        raise UserError('data.tokenizer=jieba needs the package jieba: pip install "runner[data]"')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what jieba imports is old
        from jieba import Tokenizer, setLogLevel
    setLogLevel("WARNING")
    segmenter = Tokenizer()
    folder = cache.folder() / "jieba"  # for its dictionary; by default it would use the common temporary folder
    folder.mkdir(parents=True, exist_ok=True)
    segmenter.tmp_dir = str(folder)
    return segmenter.lcut


TOKENIZERS: dict[str, Tokenizer | type[Learning]] = {
    "space": space, "word": word, "regex": regex, "cased": cased, "penn": penn, "char": char, "jieba": jieba,
    "phrases": Phrases, "bpe": BytePairs, "wordpiece": WordPieces,
}  # fmt: skip


def tokenizer(name: str) -> Tokenizer | type[Learning] | InFolder:
    """Return the tokeniser called `name`: one of TOKENIZERS, a dotted path to the user's own or a folder with one.

    Raises:
        UserError: no tokeniser has this name.
    """
    if name in TOKENIZERS:
        return TOKENIZERS[name]
    if "/" in name or os.sep in name:
        return InFolder(name)
    module, _, function = name.rpartition(".")
    if not module:
        raise UserError(
            f'data.tokenizer="{name}" is not known. Allowed: {", ".join(TOKENIZERS)}, or the dotted path of '
            f"a function of your own.{closest(name, TOKENIZERS)}"
        )
    safety.check_function("data.tokenizer", name)
    try:
        return getattr(importlib.import_module(module), function)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UserError(f'data.tokenizer="{name}" cannot be imported: {error}.') from error


def fingerprint(name: str) -> str:
    """Return the name of a tokeniser; of one in a folder the digest of its files instead, which may change."""
    found = tokenizer(name)
    return found.digest() if isinstance(found, InFolder) else name


def truncated(tokens: list, max_len: int | None, keep: str = "head") -> list:
    """Return at most `max_len` tokens: the first ones (head), the last ones (tail) or half of each (both)."""
    if max_len is None or len(tokens) <= max_len:
        return tokens
    if keep == "head":
        return tokens[:max_len]
    if keep == "tail":
        return tokens[len(tokens) - max_len :]
    if keep == "both":
        last = max_len // 2
        return tokens[: max_len - last] + tokens[len(tokens) - last :]
    raise UserError(f'data.truncate="{keep}" is not known. Allowed: head, tail, both.')


def blocks(texts: Iterator[str], size: int) -> Iterator[str]:
    """Join short texts to blocks of at least `size` characters; the last block may be shorter."""
    while first := next(texts, None):
        block, length = [first], len(first)
        while length < size and (text := next(texts, None)) is not None:
            block.append(text)
            length += len(text)
        yield "".join(block)
