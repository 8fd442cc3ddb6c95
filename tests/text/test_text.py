"""Tokenisers, stop words, stems, pieces of words, truncation and vocabulary."""

import json

import pytest

from runner.errors import UserError
from runner.text import (
    END,
    PAD,
    SPECIALS,
    START,
    UNK,
    Pipeline,
    TokenSettings,
    Vocabulary,
    char,
    jieba,
    penn,
    regex,
    subwords,
    tokenizer,
    truncated,
    word,
)
from runner.text.words import stemmer, stop_words


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


def test_penn_cuts_contractions_as_the_treebank_does():
    assert penn("It's fine, they DIDN\u2019T!") == ["it", "'s", "fine", ",", "they", "did", "n't", "!"]
    assert penn("can't 'quoted' rock'n'roll") == ["ca", "n't", "'", "quoted", "'", "rock", "'", "n", "'", "roll"]


def test_jieba_finds_chinese_words_and_drops_marks():
    assert jieba("我来到北京清华大学\uff0c很好\uff01 OK") == ["我", "来到", "北京", "清华大学", "很", "好", "ok"]


# Stop words and stems.


def test_stop_words_of_two_languages():
    assert {"the", "of"} <= set(stop_words("english")) and "film" not in stop_words("english")
    assert {"的", "了"} <= set(stop_words("chinese"))
    with pytest.raises(UserError, match=r'Did you mean "english"\?'):
        stop_words("englisch")


def test_stems_are_those_of_porter():
    assert stemmer("english")(["running", "films", "generously", "running"]) == ["run", "film", "generous", "run"]
    with pytest.raises(UserError, match=r"data\.stem="):
        stemmer("klingon")


def test_a_pipeline_leaves_out_then_stems_then_cuts():
    pipeline = Pipeline(TokenSettings("word", "english", "english"), max_len=2)
    assert pipeline("The films of the running men are dull") == ["film", "run"]
    twin = Pipeline.from_state(json.loads(json.dumps(pipeline.state())))
    assert twin("The films of the running men are dull") == ["film", "run"]


def test_a_pipeline_takes_its_own_stop_words_along():
    state = Pipeline(TokenSettings("word", "english")).state() | {"left_out": ["film"]}
    assert Pipeline.from_state(state)("the film") == ["the"]


def test_a_state_of_an_earlier_version_is_read():
    assert Pipeline.from_state({"tokenizer": "word", "max_len": 1, "truncate": "tail"})("a fine film") == ["film"]


@pytest.mark.parametrize("words", [{"stopwords": "english"}, {"stem": "english"}])
def test_pieces_of_words_have_no_stems_and_no_stop_words(words):
    with pytest.raises(UserError, match=r"leave data\.stopwords and data\.stem out"):
        Pipeline(TokenSettings("bpe", **words))


# Pieces of words.

TEXTS = ["a fine film, a fine plot", "the film is dull!"] * 20


@pytest.mark.parametrize(
    ("kind", "pieces"),
    [
        ("bpe", ["▁a", "▁fine", ",", "▁dull", "▁film"]),
        ("wordpiece", ["a", "fine", ",", "dull", "film"]),
    ],
)
def test_pieces_are_learnt_and_travel_as_json(kind, pieces):
    learnt = TokenSettings(kind).learnt_from(TEXTS, vocab_size=60, min_count=2)
    pipeline = Pipeline(TokenSettings(kind), learnt=learnt.state())
    assert pipeline("A FINE, dull film") == pieces
    twin = Pipeline.from_state(json.loads(json.dumps(pipeline.state())))
    assert twin("A FINE, dull film") == pieces
    vocabulary = Vocabulary(learnt.tokens)
    assert len(vocabulary) <= 60 and vocabulary.numbers["<pad>"] == PAD and vocabulary.numbers["<unk>"] == UNK
    assert vocabulary.encode(pipeline("zzz"))[-1] == UNK
    assert UNK not in vocabulary.encode(pipeline("fine plot"))


def test_a_word_that_was_never_seen_is_made_of_pieces():
    pieces = subwords.WordPieces.learn(TEXTS, vocab_size=60, min_count=1)("fillo")
    assert len(pieces) > 1 and "".join(piece.removeprefix("##") for piece in pieces) == "fillo"


class Ends:
    """Learns the last letters of words: a tokeniser from outside."""

    def __init__(self, learnt):
        self.learnt = learnt

    def __call__(self, text):
        return [part for word in text.split() for part in (word[:-1], word[-1]) if part in self.learnt["parts"]]

    @property
    def tokens(self):
        return [*SPECIALS, *self.learnt["parts"]]

    @classmethod
    def learn(cls, texts, vocab_size, min_count):
        return cls({"parts": sorted({word[-1] for text in texts for word in text.split()})[: vocab_size - 2]})

    def state(self):
        return self.learnt


def test_a_tokeniser_that_learns_may_come_from_outside(monkeypatch):
    monkeypatch.setattr("runner.text.Ends", Ends, raising=False)  # where dotted paths are let in
    settings = TokenSettings("runner.text.Ends")
    monkeypatch.setattr("runner.config.safety.check_function", lambda key, name: None)
    assert settings.learns and not TokenSettings("word").learns
    learnt = settings.learnt_from(["fine film", "dull plot"], vocab_size=5, min_count=1)
    pipeline = Pipeline(settings, learnt=learnt.state())
    assert pipeline("a nice trial") == ["e", "l"] and learnt.tokens[2:] == ["e", "l", "m"]
    assert Pipeline.from_state(json.loads(json.dumps(pipeline.state())))("fine") == ["e"]
    with pytest.raises(UserError, match="makes pieces of words"):
        Pipeline(TokenSettings("runner.text.Ends", stem="english"))


def test_named_specials():
    vocabulary = Vocabulary.build({"b": 2, "a": 1}, size=5, specials=(*SPECIALS, START, END))
    assert vocabulary.tokens[2:] == [START, END, "b"]
    assert (vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end, vocabulary.mask) == (0, 1, 2, 3, None)
    assert vocabulary.readable([2, 4, UNK, 50, PAD, 3, 4]) == ["b", "\ufffd", "\ufffd"]
    assert Vocabulary(**vocabulary.state()).end == 3
    assert Vocabulary([*SPECIALS, "a"]).end is None
    with pytest.raises(UserError, match=r"<start>, <end> and one token make 5"):
        Vocabulary.build({"a": 1}, size=4, specials=(*SPECIALS, START, END))
