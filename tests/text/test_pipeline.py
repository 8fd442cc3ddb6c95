"""The way from a text to its tokens, and a tokeniser from outside that learns."""

import json

import pytest

from runner.errors import UserError
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import SPECIALS


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


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, "it is | long and dull | really | very"),
        ({"max_len": 4}, "it is | long and"),
        ({"max_len": 3, "truncate": "tail"}, "dull | really | very"),
        ({"max_len": 3, "truncate": "both"}, "it is | very"),
    ],
)
def test_every_sentence_has_its_places(settings, found):
    pipeline = Pipeline(TokenSettings("word"), sentence_len=4, **settings)
    twin = Pipeline.from_state(json.loads(json.dumps(pipeline.state())))
    places = [words.split() for words in found.split("|")]
    wanted = [word for words in places[:-1] for word in (*words, *["<pad>"] * (4 - len(words)))] + places[-1]
    assert twin("It is.\nLong and dull. Really! Very") == wanted


def test_a_long_sentence_goes_on_in_another():
    assert Pipeline(TokenSettings("word"), sentence_len=2)("a b c d e. F") == ["a", "b", "c", "d", "e", "<pad>", "f"]
    assert Pipeline(TokenSettings("word"), sentence_len=2)(" ... ") == []
    with pytest.raises(UserError, match=r"sentence_len is at least 1, received 0"):
        Pipeline(TokenSettings("word"), sentence_len=0)


@pytest.mark.parametrize("words", [{"stopwords": "english"}, {"stem": "english"}])
def test_pieces_of_words_have_no_stems_and_no_stop_words(words):
    with pytest.raises(UserError, match=r"leave data\.stopwords and data\.stem out"):
        Pipeline(TokenSettings("bpe", **words))


class Ends:
    """Learns the last letters of words: a tokeniser from outside."""

    def __init__(self, learned):
        self.learned = learned

    def __call__(self, text):
        return [part for word in text.split() for part in (word[:-1], word[-1]) if part in self.learned["parts"]]

    @property
    def tokens(self):
        return [*SPECIALS, *self.learned["parts"]]

    @classmethod
    def learn(cls, texts, vocab_size, min_count):
        return cls({"parts": sorted({word[-1] for text in texts for word in text.split()})[: vocab_size - 2]})

    def state(self):
        return self.learned


def test_a_tokeniser_that_learns_may_come_from_outside(monkeypatch):
    monkeypatch.setattr("runner.text.Ends", Ends, raising=False)  # where dotted paths are let in
    settings = TokenSettings("runner.text.Ends")
    monkeypatch.setattr("runner.config.safety.check_function", lambda key, name: None)
    assert settings.learns and not TokenSettings("word").learns
    learned = settings.learned_from(["fine film", "dull plot"], vocab_size=5, min_count=1)
    pipeline = Pipeline(settings, learned=learned.state())
    assert pipeline("a nice trial") == ["e", "l"] and learned.tokens[2:] == ["e", "l", "m"]
    assert Pipeline.from_state(json.loads(json.dumps(pipeline.state())))("fine") == ["e"]
    with pytest.raises(UserError, match="makes pieces of words"):
        Pipeline(TokenSettings("runner.text.Ends", stem="english"))
