"""The division into splits: fixed, stratified, disjoint, usable as cross-validation."""

import numpy as np
import pytest

from runner.datamodules.iris import Iris
from runner.datamodules.parts.splits import by_group, held_out, smaller, split
from runner.errors import UserError


def test_default_is_80_10_10_stratified_and_fixed():
    classes = np.repeat([0, 1, 2], [500, 300, 200])
    first, again = split(1000, classes), split(1000, classes)
    assert [len(part) for part in first] == [800, 100, 100]
    for part, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(part, same)
        np.testing.assert_allclose(np.bincount(classes[part]) / len(part), [0.5, 0.3, 0.2])
    assert not np.array_equal(first.test, split(1000, classes, seed=1).test)


def test_folds_test_every_row_once():
    classes = np.arange(103) % 4
    folds = [split(103, classes, fold=fold, folds=5) for fold in range(5)]
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(103))
    for fold in folds:
        assert sorted(np.concatenate(fold)) == list(range(103))


def test_own_splits_are_kept_and_validation_is_cut_from_training():
    own = np.array([0] * 60 + [2] * 20)
    made = split(80, np.arange(80) % 2, own, folds=12)
    np.testing.assert_array_equal(made.test, np.arange(60, 80))
    assert len(made.val) == 5 and made.val.max() < 60
    assert sorted(np.concatenate([made.train, made.val])) == list(range(60))
    all_own = split(4, own=np.array([0, 1, 2, 0]))
    assert [part.tolist() for part in all_own] == [[0, 3], [1], [2]]


def test_a_rare_class_is_trained_on(caplog):
    classes = np.array([0] * 99 + [1])
    for fold in range(10):
        assert 99 in split(100, classes, fold=fold).train
    assert "too rare" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows": 7}, "only 7 rows"),
        ({"rows": 50, "fold": 10}, r"data.fold=10 is out of range: allowed are 0 .. 9"),
        ({"rows": 50, "folds": 2}, "data.folds=2 is too small"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(UserError, match=message):
        split(**settings)


def test_a_share_is_held_out_and_stratified():
    classes = np.repeat([0, 1, 2], [60, 30, 10])
    own = held_out(100, 0.33, classes, seed=1)
    assert (own == 2).sum() == 33
    assert np.abs(np.bincount(classes[own == 2]) - [19.8, 9.9, 3.3]).max() <= 1
    assert not np.array_equal(own, held_out(100, 0.33, classes, seed=2))
    with pytest.raises(UserError, match="test_share=1"):
        held_out(100, 1.0)
    data = Iris(test_share=0.33)
    data.setup()
    assert (len(data.test), len(data.val), len(data.train)) == (50, 10, 90)


def test_groups_stay_together():
    groups = np.repeat(np.arange(20), 5)
    splits = by_group(groups, lambda rows, classes, own: split(rows, classes, own))
    people = [set(groups[part]) for part in splits]
    assert sum(map(len, people)) == 20 == len(set.union(*people)) and all(people)


def test_a_smaller_training_split_is_part_of_a_larger_one_and_has_the_same_shares_of_classes():
    classes = np.repeat([0, 1, 2], [100, 40, 3])
    train = np.arange(3, 143)
    tenth, half = (smaller(train, share, classes) for share in (0.1, 0.5))
    assert set(tenth) < set(half) < set(train) and (np.diff(half) > 0).all()
    assert np.bincount(classes[tenth]).tolist() == [10, 4, 1] and len(half) == 70
    assert smaller(train, 1.0) is train and len(smaller(train, 0.25)) == 35
