"""Where the tokens of a text stand."""

from itertools import pairwise

import pytest
from tiny_encoder import needs_transformers, write_encoder

from runner.errors import UserError
from runner.text.places import placed
from runner.text.pretrained_pieces import InFolder
from runner.text.tokenizers import TOKENIZERS

TEXT = "The U.S. didn\u2019t \u0130ncrease it; the 2 films did."


@pytest.mark.parametrize("name", ["word", "regex", "penn", "cased", "char", "space"])
def test_tokens_are_parts_of_the_text(name):
    cut = TOKENIZERS[name]
    found = placed(cut, TEXT)
    assert [token for token, _, _ in found] == cut(TEXT)
    for token, start, end in found:
        part = TEXT[start:end].lower().replace("\u2019", "'")
        whole = token.lower().replace("\u2019", "'")
        assert whole == part or (whole in part and "\u0307" in part)  # of one letter that becomes two
    assert all(one.start <= other.start and one.end <= other.end for one, other in pairwise(found))


@needs_transformers
def test_pieces_know_their_places(tmp_path):
    pieces = InFolder(str(write_encoder(tmp_path / "encoder"))).learn([], 20, 1)
    found = placed(pieces, "A  finely film")
    assert [(token, start, end) for token, start, end in found] == [
        ("a", 0, 1), ("fine", 3, 7), ("##ly", 7, 9), ("film", 10, 14)
    ]  # fmt: skip


def test_a_token_that_is_no_part_of_the_text():
    with pytest.raises(UserError, match="'stem' is not a part of the text"):
        placed(lambda text: ["stem"], "stammer")
