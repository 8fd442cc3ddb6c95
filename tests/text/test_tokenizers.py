"""Tokenisers: words, marks, characters, names and dotted paths; the cut to a length."""

import pytest

from runner.errors import UserError
from runner.text.tokenizers import char, jieba, penn, regex, tokenizer, truncated, word


def test_word_is_lower_case_without_punctuation():
    assert word("It's GOOD -- really, don't you think?") == ["it's", "good", "really", "don't", "you", "think"]
    assert word("...!") == []


def test_regex_keeps_punctuation_as_tokens():
    assert regex("Good, isn't it?!") == ["good", ",", "isn't", "it", "?", "!"]


def test_char_keeps_everything():
    assert char("A b\n") == ["A", " ", "b", "\n"]


def test_tokenizer_by_name_and_by_dotted_path():
    assert tokenizer("word") is word
    assert tokenizer("runner.text.tokenizers.regex") is regex
    with pytest.raises(UserError, match=r'Did you mean "word"\?'):
        tokenizer("wrod")
    with pytest.raises(UserError, match="cannot be imported"):
        tokenizer("nowhere.at_all")


@pytest.mark.parametrize(
    ("keep", "expected"), [("head", [0, 1, 2]), ("tail", [7, 8, 9]), ("both", [0, 1, 9]), ("head", [0, 1, 2])]
)
def test_truncated(keep, expected):
    assert truncated(list(range(10)), 3, keep) == expected
    assert truncated([1, 2], 3, keep) == [1, 2]
    assert truncated([1, 2], None, keep) == [1, 2]


def test_truncated_refuses_an_unknown_side():
    with pytest.raises(UserError, match="head, tail, both"):
        truncated([1, 2, 3], 2, "middle")


def test_penn_cuts_contractions_as_the_treebank_does():
    assert penn("It's fine, they DIDN\u2019T!") == ["it", "'s", "fine", ",", "they", "did", "n't", "!"]
    assert penn("can't 'quoted' rock'n'roll") == ["ca", "n't", "'", "quoted", "'", "rock", "'", "n", "'", "roll"]


def test_jieba_finds_chinese_words_and_drops_marks():
    assert jieba("我来到北京清华大学\uff0c很好\uff01 OK") == ["我", "来到", "北京", "清华大学", "很", "好", "ok"]
