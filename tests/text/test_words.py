"""Stop words and stems."""

import pytest

from runner.errors import UserError
from runner.text.words import stemmer, stop_words


def test_stop_words_of_two_languages():
    assert {"the", "of"} <= set(stop_words("english")) and "film" not in stop_words("english")
    assert {"的", "了"} <= set(stop_words("chinese"))
    with pytest.raises(UserError, match=r'Did you mean "english"\?'):
        stop_words("englisch")


def test_stems_are_those_of_porter():
    assert stemmer("english")(["running", "films", "generously", "running"]) == ["run", "film", "generous", "run"]
    with pytest.raises(UserError, match=r"data\.stem="):
        stemmer("klingon")
