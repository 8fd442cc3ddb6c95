"""The vocabulary: order, size, special tokens."""

import pytest

from runner.errors import UserError
from runner.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary


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


def test_named_specials():
    vocabulary = Vocabulary.build({"b": 2, "a": 1}, size=5, specials=(*SPECIALS, START, END))
    assert vocabulary.tokens[2:] == [START, END, "b"]
    assert (vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end, vocabulary.mask) == (0, 1, 2, 3, None)
    assert vocabulary.readable([2, 4, UNK, 50, PAD, 3, 4]) == ["b", "\ufffd", "\ufffd"]
    assert Vocabulary(**vocabulary.state()).end == 3
    assert Vocabulary([*SPECIALS, "a"]).end is None
    with pytest.raises(UserError, match=r"<start>, <end> and one token make 5"):
        Vocabulary.build({"a": 1}, size=4, specials=(*SPECIALS, START, END))
