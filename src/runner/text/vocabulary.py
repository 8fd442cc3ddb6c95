"""The vocabulary: tokens by number."""

from collections.abc import Iterable, Mapping
from itertools import chain

from runner.errors import UserError

PAD = 0  # the token that fills short rows
UNK = 1  # the token for whatever is not in the vocabulary
SPECIALS = ("<pad>", "<unk>")


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
