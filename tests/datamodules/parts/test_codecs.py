"""Codecs: raw rows to inputs and back, several side by side, and kinds that are not registered anywhere."""

import json

import numpy as np
import pytest
import torch

from runner.datamodules.parts.codecs import (
    Codec,
    Columns,
    ImageInputs,
    NumberInputs,
    SequenceInputs,
    TextInputs,
    mean_std,
)
from runner.errors import UserError
from runner.text.pipeline import Pipeline, TokenSettings
from runner.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary

WORDS = ["the", "film", "is", "fine"]


def texts(column: str = "text", marks: tuple[str, ...] = (), max_len: int | None = None) -> TextInputs:
    specials = (*SPECIALS, *marks)
    return TextInputs(column, Pipeline(TokenSettings(), max_len), Vocabulary([*specials, *WORDS], specials))


CODECS = {
    "text": texts(),
    "text with marks": texts(marks=(START, END), max_len=5),
    "numbers": NumberInputs(["a", "b"], [1.0, 2.0], [3.0, 4.0], {"b": 0.5}, clip=2.0),
    "image": ImageInputs("image", [1, 3, 2]),
    "sequence": SequenceInputs("window", [1.0, -1.0], [2.0, 0.5], num_steps=4),
    "columns": Columns(
        {"src": texts("src"), "tgt": texts("tgt", (START, END)), "age": NumberInputs(["age"], [0], [1])}
    ),
}


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_codec_travels_as_json_and_encodes_its_own_examples_as_before(codec):
    rows = codec.example(3, np.random.default_rng(0))
    assert len(rows) == 3 and all(set(row) == set(codec.columns) for row in rows)
    twin = Codec.restored(json.loads(json.dumps(codec.stored())))
    assert type(twin) is type(codec) and twin.columns == codec.columns
    for one, two in zip(codec.encode(rows), twin.encode(rows), strict=True):
        assert len(one) == 3 and one.isfinite().all() and torch.equal(one, two)


def test_texts_are_read_back_up_to_their_end():
    codec = texts(marks=(START, END))
    (tokens,) = codec.encode([{"text": "The film is fine"}, {"text": "dull film"}])
    assert tokens[1].tolist() == [2, UNK, 5, 3, PAD, PAD], "start, unknown, film, end, padding"
    assert codec.decode(tokens[0].tolist()) == "the film is fine"
    assert codec.decode([2, 4, UNK, 99, 3, 5, 5]) == "the \ufffd \ufffd", "what comes after the end is not read"


@pytest.mark.parametrize(("truncate", "kept"), [("head", [4, 5]), ("tail", [6, 7]), ("both", [4, 7])])
def test_marks_stay_when_a_text_is_cut(truncate, kept):
    codec = texts(marks=(START, END))
    codec.pipeline.max_len, codec.pipeline.truncate = 4, truncate
    assert codec.encode([{"text": "the film is fine"}])[0].tolist() == [[2, *kept, 3]]


@pytest.mark.parametrize(("tokenizer", "text"), [("char", "a  b!"), ("word", "a b"), ("penn", "a b !")])
def test_tokens_are_joined_as_they_were_cut(tokenizer, text):
    pipeline = Pipeline(TokenSettings(tokenizer))
    assert pipeline.joined(pipeline("a  b!")) == text


def test_columns_give_one_tensor_for_each_part():
    codec = CODECS["columns"]
    src, tgt, age = codec.encode([{"src": "the film", "tgt": "is fine", "age": 3}])
    assert src.tolist() == [[2, 3]] and tgt.tolist() == [[2, 6, 7, 3]] and age.tolist() == [[3.0]]
    assert codec.columns == {"src": "string", "tgt": "string", "age": "double"}
    assert Columns({"text": texts(), "again": texts(marks=(END,))}).decode([3, 4, 2]) == "the film"
    with pytest.raises(UserError, match='Row 1 has no column "tgt"; it has: src, age'):
        codec.encode([{"src": "the", "age": 1}])


def test_numbers_cannot_be_read_back():
    with pytest.raises(UserError, match="not texts"):
        CODECS["numbers"].decode([1])


def test_a_codec_from_outside_is_found_by_its_kind():
    class Doubled(Codec):
        kind = "doubled"

        def __init__(self, column):
            self.column = column

        @property
        def columns(self):
            return {self.column: "double"}

        def encode(self, rows):
            return (torch.tensor([[2.0 * row[self.column]] for row in rows]),)

        def state(self):
            return {"column": self.column}

    twin = Codec.restored(Columns({"x": Doubled("a")}).stored())
    assert twin.encode([{"a": 4.0}])[0].tolist() == [[8.0]]
    assert twin.features([{"a": 4.0}]).tolist() == [[8.0]]
    del Codec.kinds["doubled"]
    with pytest.raises(UserError, match="of the kind 'doubled', which no loaded class has"):
        Codec.restored({"kind": "doubled"})


def test_a_constant_column_becomes_nothing_and_nothing_is_changed_without_standardising():
    values = np.array([[1.0, 5.0], [3.0, 5.0]])
    codec = NumberInputs.fit(["a", "b"], values)
    assert codec.scale(values).tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert [part.tolist() for part in mean_std(values, standardize=False)] == [[0, 0], [1, 1]]
    assert NumberInputs.fit(["a", "b"], values, standardize=False).scale(values).tolist() == values.tolist()
