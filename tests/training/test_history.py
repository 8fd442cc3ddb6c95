"""The curve of a run: every point, once, also after the run was resumed."""

import math

from small_runs import Points

from runner.training.history import History


def filled(record=None) -> History:
    history = History(record)
    history.log_metrics({"train/loss": 2.0, "train/loss_step": 2.5}, step=1)
    history.log_metrics({"val/loss": 3.0}, step=1)
    history.log_metrics({"train/loss": 1.0, "val/auroc": math.nan}, step=2)
    return history


def test_points_are_kept_and_handed_on():
    record = Points()
    assert len(filled(record).history) == 3
    assert record.points[0] == (1, {"train/loss": 2.0, "train/loss_step": 2.5})
    assert [step for step, _ in record.points] == [1, 1, 2]


def test_a_curve():
    assert filled().curve("train/loss") == ([1, 2], [2.0, 1.0])
    assert filled().curve("test/loss") == ([], [])


def test_the_latest_values():
    assert filled().latest("train/") == {"train/loss": 1.0, "train/loss_step": 2.5}
    assert filled().latest("val/") == {"val/loss": 3.0}, "what is no number is left out"
    assert filled().latest("train/", until=1) == {"train/loss": 2.0, "train/loss_step": 2.5}


def test_a_step_may_be_left_out():
    history = History()
    history.log_metrics({"a": 1.0})
    assert history.curve("a") == ([0], [1.0])


def test_going_on_takes_over_the_points_and_offers_them_to_the_record():
    record, history = Points(), History()
    later = History(record)
    later.replay(filled().history)
    history.log_metrics({"x": 1.0}, step=1)
    assert later.curve("train/loss") == ([1, 2], [2.0, 1.0])
    assert len(record.points) == 3


def test_the_points_of_a_checkpoint_are_a_copy():
    stored = filled().history
    history = History()
    history.replay(stored)
    history.log_metrics({"train/loss": 0.0}, step=3)
    assert len(stored) == 3 and len(history.history) == 4


def test_points_are_a_copy_of_what_was_logged():
    history, metrics = History(), {"a": 1.0}
    history.log_metrics(metrics, step=1)
    metrics["a"] = 2.0
    assert history.curve("a") == ([1], [1.0])
