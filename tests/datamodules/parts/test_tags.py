"""Spans of tags, and tags as targets."""

import pytest
import torch

from runner.datamodules.parts.tags import IGNORE, Span, Tags, spans_of, tag_names
from runner.datamodules.parts.targets import Targets
from runner.errors import UserError


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O O", []),
        ("B-A I-A O", [("A", 0, 2)]),
        ("B-A B-A", [("A", 0, 1), ("A", 1, 2)]),
        ("I-A I-A", [("A", 0, 2)]),
        ("B-A I-B I-B", [("A", 0, 1), ("B", 1, 3)]),
        ("O I-A B-A", [("A", 1, 2), ("A", 2, 3)]),
        ("B-X-Y I-X-Y", [("X-Y", 0, 2)]),
    ],
)
def test_spans_are_those_of_conlleval(tags, spans) -> None:
    assert spans_of(tags.split()) == [Span(*span) for span in spans]


def test_tags_have_fixed_numbers() -> None:
    assert tag_names(["opinion", "aspect", "aspect"]) == ["O", "B-aspect", "I-aspect", "B-opinion", "I-opinion"]


def test_tags_become_numbers_and_come_back() -> None:
    targets = Targets.restored(Tags(tag_names(["A"])).stored())
    encoded = targets.encode([["O", "B-A", "I-A"], ["B-A"]])
    assert encoded.tolist() == [[0, 1, 2], [1, IGNORE, IGNORE]] and encoded.dtype == torch.int64
    assert targets.decode(encoded) == [["O", "B-A", "I-A"], ["B-A"]]
    assert targets.facts == {"num_tags": 3}
    assert targets.error({"tags": "O B-A"}, ["O", "O"]) == (0.5, {"truth": "O O"})


def test_an_unknown_tag_is_named() -> None:
    with pytest.raises(UserError, match=r"row 3, column \"tags\": 'B-C' is not a tag of this model"):
        Tags(tag_names(["A"])).read({"tags": "O B-C"}, "row 3")
