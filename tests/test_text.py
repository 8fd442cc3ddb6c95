"""Tokenisers, truncation and vocabulary."""

import pytest

from runner.errors import UserError
from runner.text import PAD, UNK, Vocabulary, char, regex, tokenizer, truncated, word


def test_word_is_lower_case_without_punctuation():
    assert word("It's GOOD -- really, don't you think?") == ["it's", "good", "really", "don't", "you", "think"]
    assert word("...!") == []


def test_regex_keeps_punctuation_as_tokens():
    assert regex("Good, isn't it?!") == ["good", ",", "isn't", "it", "?", "!"]


def test_char_keeps_everything():
    assert char("A b\n") == ["A", " ", "b", "\n"]


def test_tokenizer_by_name_and_by_dotted_path():
    assert tokenizer("word") is word
    assert tokenizer("runner.text.regex") is regex
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


def test_vocabulary_orders_by_count_then_alphabet_and_cuts():
    counts = {"b": 2, "a": 2, "c": 5, "d": 1}
    assert Vocabulary.build(counts).tokens == ["<pad>", "<unk>", "c", "a", "b", "d"]
    assert Vocabulary.build(dict(reversed(counts.items()))).tokens == Vocabulary.build(counts).tokens
    assert Vocabulary.build(counts, size=4).tokens == ["<pad>", "<unk>", "c", "a"]
    assert Vocabulary.build(counts, min_count=2).tokens == ["<pad>", "<unk>", "c", "a", "b"]
    with pytest.raises(UserError, match="vocab_size=2"):
        Vocabulary.build(counts, size=2)


def test_vocabulary_encodes_decodes_and_travels():
    vocabulary = Vocabulary.build({"a": 1, "b": 1})
    assert vocabulary.encode(["b", "zebra", "a"]) == [3, UNK, 2]
    assert vocabulary.decode([PAD, UNK, 2]) == ["<pad>", "<unk>", "a"]
    assert Vocabulary(**vocabulary.state()).numbers == vocabulary.numbers
