"""Targets: the truth of a labelled row, what a net learns of it, and how wrong an answer is."""

import json

import pytest
import torch

from runner.datamodules.parts.targets import Classes, Numbers, Targets
from runner.errors import UserError

CLASSES = Classes(["bad", "good"])
NUMBERS = Numbers(["price", "size"], [10.0, 1.0], [2.0, 0.5])


@pytest.mark.parametrize("targets", [CLASSES, NUMBERS], ids=["classes", "numbers"])
def test_targets_travel_as_json(targets):
    twin = Targets.restored(json.loads(json.dumps(targets.stored())))
    assert type(twin) is type(targets) and twin.state() == targets.state()


def test_a_class_is_read_by_its_name_or_its_number():
    assert CLASSES.columns() == ["label"] and CLASSES.columns("stars") == ["stars"]
    assert [CLASSES.read({"stars": cell}, "line 2") for cell in ("good", " bad ", "1", 0, 1.0)] == [1, 0, 1, 0, 1]
    assert Classes(["3", "7"]).read({"stars": 7.0}, "line 2") == 1, "a name that looks like a number is a name"
    with pytest.raises(UserError, match='line 2, column "stars": "goood" is not a class of this model'):
        CLASSES.read({"stars": "goood"}, "line 2")


def test_the_error_of_a_class_is_the_probability_of_the_wrong_one():
    answer = {"label": "good", "probability_bad": 0.1, "probability_good": 0.9}
    assert CLASSES.error(answer, 1) == (0.0, {"truth": "good"})
    assert CLASSES.error(answer, 0) == (0.9, {"truth": "bad"})
    assert CLASSES.sentence(answer, 0) == "is bad, answered good (0.90)"
    assert CLASSES.error({"label": "good"}, 0)[0] == 1.0, "an answer without probabilities is sure"


def test_several_values_have_columns_of_their_own():
    assert NUMBERS.columns() == ["price", "size"]
    with pytest.raises(UserError, match="the columns are price, size"):
        NUMBERS.columns("price")
    assert NUMBERS.read({"price": "12", "size": 2}, "line 2") == [12.0, 2.0]
    with pytest.raises(UserError, match="line 2, column \"size\": 'big' is not a number"):
        NUMBERS.read({"price": 1, "size": "big"}, "line 2")
    with pytest.raises(UserError, match="not a finite number"):
        NUMBERS.read({"price": "nan", "size": 1}, "line 2")
    answer = {"price": 15.0, "size": 2.5}
    assert NUMBERS.error(answer, [12.0, 2.0]) == (3.0, {"true_price": 12.0, "true_size": 2.0})
    assert NUMBERS.sentence(answer, [12.0, 2.0]) == "price is 12, answered 15, size is 2, answered 2.5"


def test_targets_are_encoded_and_read_back():
    assert CLASSES.decode(CLASSES.encode([1, 0])) == ["good", "bad"]
    encoded = NUMBERS.encode([[12.0, 2.0], [8.0, 1.0]])
    assert encoded.dtype == torch.float32 and encoded.tolist() == [[1.0, 2.0], [-1.0, 0.0]]
    assert NUMBERS.decode(encoded) == [[12.0, 2.0], [8.0, 1.0]]


def test_targets_from_outside_say_an_answer_in_words_without_a_line_of_their_own():
    class Spelt(Targets):
        kind = "spelt"

        def error(self, answer, truth):
            return float(answer["text"] != truth), {"truth": truth}

    assert Targets.restored(Spelt(["text"]).stored()).names == ["text"]
    assert Spelt(["text"]).sentence({"text": "b"}, "a") == "is a, answered b"
    del Targets.kinds["spelt"]
