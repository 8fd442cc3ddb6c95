"""The vocabulary: tokens by number."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from runner.errors import UserError

PAD = 0  # the token that fills short rows
UNK = 1  # the token for everything that is not in the vocabulary
SPECIALS = ("<pad>", "<unk>")
START, END, MASK = "<start>", "<end>", "<mask>"  # further ones that a dataset may use
UNREADABLE = "\ufffd"  # what an unknown token is shown as


class Vocabulary:
    """Tokens by number. PAD is 0, UNK (everything outside the vocabulary) is 1; further special tokens have names.

    Args:
        tokens: all tokens in the order of their numbers, the special ones first.
        specials: the special tokens: "<pad>" and "<unk>", then any of "<start>", "<end>", "<mask>" and others.
    """

    def __init__(self, tokens: Iterable[str], specials: Sequence[str] = SPECIALS):
        self.tokens, self.specials = list(tokens), tuple(specials)
        assert self.specials[:2] == SPECIALS, "PAD and UNK come first"
        assert tuple(self.tokens[: len(self.specials)]) == self.specials, "the special tokens come first"
        self.numbers = {token: number for number, token in enumerate(self.tokens)}
        self.pad, self.unk = PAD, UNK
        self.start, self.end, self.mask = map(self.special, (START, END, MASK))

    def __len__(self) -> int:
        return len(self.tokens)

    def special(self, token: str) -> int | None:
        """Return the number of a special token; None if this vocabulary does not have it."""
        return self.specials.index(token) if token in self.specials else None

    @classmethod
    def build(
        cls,
        counts: Mapping[str, int],
        size: int | None = None,
        min_count: int = 1,
        specials: Sequence[str] = SPECIALS,
    ) -> "Vocabulary":
        """Keep the most frequent tokens, ordered alphabetically if equally frequent, so that the result is unique.

        Args:
            counts: how often each token occurs in the training split.
            size: at most this many entries, including the special ones; None = all.
            min_count: rarer tokens become UNK.
            specials: the special tokens.
        """
        if size is not None and size < len(specials) + 1:
            names = "PAD, UNK" if tuple(specials) == SPECIALS else ", ".join(specials)
            raise UserError(f"data.vocab_size={size} is too small: {names} and one token make {len(specials) + 1}.")
        kept = [token for token, count in counts.items() if count >= min_count and token not in specials]
        kept.sort(key=lambda token: (-counts[token], token))
        return cls(chain(specials, kept if size is None else kept[: size - len(specials)]), specials)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the number of each token."""
        return [self.numbers.get(token, UNK) for token in tokens]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return the token of each number; U+FFFD beyond them: a net may have room for more tokens than there are."""
        return [self.tokens[number] if number < len(self.tokens) else UNREADABLE for number in numbers]

    def readable(self, numbers: Iterable[int]) -> list[str]:
        """Return the tokens of a text up to its end mark, without special ones; what is unknown is U+FFFD."""
        tokens = []
        for number in numbers:
            if number == self.end:
                break
            if number == UNK or number >= len(self.specials):
                tokens += [UNREADABLE] if number == UNK else self.decode([number])
        return tokens

    def state(self) -> dict:
        """Return what `Vocabulary(**state)` needs, JSON-able."""
        return {"tokens": self.tokens, "specials": list(self.specials)}
