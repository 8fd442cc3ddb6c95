"""Where in a text its tokens stand."""

from typing import NamedTuple

from runner.errors import UserError
from runner.text.tokenizers import Tokenizer


class Placed(NamedTuple):
    """A token, and the characters from `start` to before `end` that it was made of."""

    token: str
    start: int
    end: int


def placed(cut: Tokenizer, text: str) -> list[Placed]:
    """Return the tokens of a text with their places.

    Tokenisers of the package tokenizers know them. The tokens of any other have to be parts of the text, one after
    another, in small letters or not.

    Args:
        cut: text -> tokens.
        text: what is cut.

    Raises:
        UserError: a token is not a part of the text, such as a stem.
    """
    if (pieces := getattr(cut, "pieces", None)) is not None:
        found = pieces.encode(text, add_special_tokens=False)
        return [Placed(token, *place) for token, place in zip(found.tokens, found.offsets, strict=True)]
    letters = [(letter, place) for place, large in enumerate(text) for letter in small_letters(large)]
    small, places, after = "".join(letter for letter, _ in letters), list[Placed](), 0
    for token in cut(text):
        start = small.find(small_letters(token), after)
        if start < 0:
            raise UserError(
                f"the token {token!r} is not a part of the text {text[:60]!r}, so the place of an answer is not known: "
                "take data.tokenizer=word, regex, penn, wordpiece, bpe or the folder of a pretrained model"
            )
        after = start + len(small_letters(token))
        places.append(Placed(token, letters[start][1], letters[after - 1][1] + 1))
    return places


def small_letters(text: str) -> str:
    """Return a text in small letters, with straight apostrophes; it may be longer."""
    return text.lower().replace("\u2019", "'")
