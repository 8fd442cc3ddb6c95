"""Pieces of words that are learned."""

import json

import pytest

from runner.text import subwords
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import PAD, UNK, Vocabulary

TEXTS = ["a fine film, a fine plot", "the film is dull!"] * 20


@pytest.mark.parametrize(
    ("kind", "pieces"),
    [
        ("bpe", ["▁a", "▁fine", ",", "▁dull", "▁film"]),
        ("wordpiece", ["a", "fine", ",", "dull", "film"]),
    ],
)
def test_pieces_are_learned_and_travel_as_json(kind, pieces):
    learned = TokenSettings(kind).learned_from(TEXTS, vocab_size=60, min_count=2)
    pipeline = Pipeline(TokenSettings(kind), learned=learned.state())
    assert pipeline("A FINE, dull film") == pieces
    twin = Pipeline.from_state(json.loads(json.dumps(pipeline.state())))
    assert twin("A FINE, dull film") == pieces
    vocabulary = Vocabulary(learned.tokens)
    assert len(vocabulary) <= 60 and vocabulary.numbers["<pad>"] == PAD and vocabulary.numbers["<unk>"] == UNK
    assert vocabulary.encode(pipeline("zzz"))[-1] == UNK
    assert UNK not in vocabulary.encode(pipeline("fine plot"))


def test_a_word_that_was_never_seen_is_made_of_pieces():
    pieces = subwords.WordPieces.learn(TEXTS, vocab_size=60, min_count=1)("fillo")
    assert len(pieces) > 1 and "".join(piece.removeprefix("##") for piece in pieces) == "fillo"
