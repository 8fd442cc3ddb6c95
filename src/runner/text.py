"""Tokenisers and vocabulary: from a text to numbers and back."""

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from runner import safety
from runner.errors import UserError, closest

PAD, UNK = 0, 1
SPECIALS = ("<pad>", "<unk>")

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_WORD_OR_MARK = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")


def word(text: str) -> list[str]:
    """Return the words in lower case; punctuation is dropped, apostrophes inside a word stay."""
    return _WORD.findall(text.lower())


def regex(text: str) -> list[str]:
    """Return the words in lower case and every punctuation mark as a token of its own."""
    return _WORD_OR_MARK.findall(text.lower())


def char(text: str) -> list[str]:
    """Return the characters as they are."""
    return list(text)


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"word": word, "regex": regex, "char": char}


def tokenizer(name: str) -> Callable[[str], list[str]]:
    """Return the function text -> tokens called `name`: one of TOKENIZERS or a dotted path to the user's own.

    Raises:
        UserError: no tokeniser has this name.
    """
    if name in TOKENIZERS:
        return TOKENIZERS[name]
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


class Vocabulary:
    """Tokens by number: PAD is 0, UNK (whatever is not in the vocabulary) is 1.

    Args:
        tokens: all tokens in the order of their numbers, the two special ones first.
    """

    def __init__(self, tokens: Iterable[str]):
        self.tokens = list(tokens)
        assert tuple(self.tokens[:2]) == SPECIALS, "PAD and UNK come first"
        self.numbers = {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def build(cls, counts: Mapping[str, int], size: int | None = None, min_count: int = 1) -> "Vocabulary":
        """Keep the most frequent tokens; equally frequent ones in alphabetical order, so that the result is
        unique.

        Args:
            counts: how often each token occurs in the training split.
            size: entries at most, PAD and UNK included; None = all.
            min_count: rarer tokens become UNK.
        """
        if size is not None and size < len(SPECIALS) + 1:
            raise UserError(f"data.vocab_size={size} is too small: PAD, UNK and one token make 3.")
        kept = [token for token, count in counts.items() if count >= min_count and token not in SPECIALS]
        kept.sort(key=lambda token: (-counts[token], token))
        return cls(chain(SPECIALS, kept if size is None else kept[: size - len(SPECIALS)]))

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the number of each token."""
        return [self.numbers.get(token, UNK) for token in tokens]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return the token of each number."""
        return [self.tokens[number] for number in numbers]

    def state(self) -> dict:
        """Return what `Vocabulary(**state)` needs, JSON-able."""
        return {"tokens": self.tokens}
