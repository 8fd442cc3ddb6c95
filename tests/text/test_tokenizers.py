"""Tokenisers: words, marks, characters, names and dotted paths; the cut to a length."""

import json

import pytest

from runner.errors import UserError
from runner.text.tokenizers import Phrases, cased, char, jieba, penn, regex, tokenizer, truncated, word


def test_word_is_lower_case_without_punctuation():
    assert word("It's GOOD -- really, don't you think?") == ["it's", "good", "really", "don't", "you", "think"]
    assert word("...!") == []


def test_regex_keeps_punctuation_as_tokens():
    assert regex("Good, isn't it?!") == ["good", ",", "isn't", "it", "?", "!"]


def test_cased_cuts_as_the_conll_data_do():
    assert cased("The U.S. lost 2-0 on 1996-08-22, said O'Brien's boss at AT&T...") == [
        "The", "U.S.", "lost", "2-0", "on", "1996-08-22", ",", "said", "O'Brien", "'s", "boss", "at", "AT&T", "..."
    ]  # fmt: skip
    assert cased("They're late.") == ["They", "'re", "late", "."]


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


def test_words_that_belong_together_are_learnt_as_phrases():
    texts = ["I love New York", "New York is big", "the new idea is big", "York is old"] * 10 + ["one two three"] * 200
    phrases = Phrases.learn(texts, vocab_size=50, min_count=2)
    # (20 - 5) * 760 words / (30 * 30) = 13: not yet; among 7 060 words the same pair stands out
    assert phrases("in New York") == ["in", "new", "york"]
    phrases = Phrases.learn([*texts, *["a b c d e f g h i"] * 700], vocab_size=50, min_count=2)
    assert phrases("in New York, new") == ["in", "new_york", "new"] and "new_york" in phrases.tokens
    again = Phrases(json.loads(json.dumps(phrases.state())))
    assert again("New York") == ["new_york"] and again.tokens == phrases.tokens


def test_rare_pairs_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(Phrases, "most_pairs", 20)
    texts = ["red herring"] * 30 + [f"word{number} other{number}" for number in range(20_000)] + ["red herring"] * 30
    assert Phrases.learn(texts, vocab_size=50, min_count=1)("a red herring") == ["a", "red_herring"]
