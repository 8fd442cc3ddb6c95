"""What the jobs of a sweep are compared by."""

import pytest

from runner.errors import UserError
from runner.sweep.objectives import read_objectives


@pytest.mark.parametrize(
    ("metric", "direction", "found"),
    [
        (None, None, (["val/loss"], ["min"])),
        ("test/accuracy", None, (["test/accuracy"], ["max"])),
        (["val/accuracy", "val/loss"], None, (["val/accuracy", "val/loss"], ["max", "min"])),
        (["val/f1", "x"], ["max", "min"], (["val/f1", "x"], ["max", "min"])),
    ],
)
def test_whether_more_or_less_is_better(metric, direction, found):
    monitor = ("val/loss", "min") if metric is None else ("val/accuracy", "max")
    assert read_objectives({"metric": metric, "direction": direction}, *monitor) == found


@pytest.mark.parametrize(
    ("metric", "direction", "message"),
    [
        ("val/f1", None, "are larger or smaller values better.*sweep.direction=max"),
        ("val/f1", "up", "one of min and max"),
        (["val/f1", "val/loss"], "max", "for each of val/f1, val/loss"),
    ],
)
def test_a_direction_that_cannot_be_known(metric, direction, message):
    with pytest.raises(UserError, match=message):
        read_objectives({"metric": metric, "direction": direction}, "val/accuracy", "max")
