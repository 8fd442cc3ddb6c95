"""Settings that do not go together are refused before anything is imported."""

import pytest

from runner.config.command import check

CLASHES = [
    ("callbacks.checkpoint.average=true", ["needs several weights: add callbacks.checkpoint.top_k=5"]),
    (
        "callbacks=swa callbacks.checkpoint.average=true callbacks.checkpoint.top_k=3",
        ["callbacks.swa are each the average"],
    ),
    ("callbacks.checkpoint.top_k=0", ["callbacks.checkpoint.top_k=0", "at least 1"]),
    ("callbacks.checkpoint.stop_after_minutes=0", ["callbacks.checkpoint.stop_after_minutes=0", "above 0"]),
    ("unfreeze={embedding:0}", ["unfreeze={embedding: 0}", "at least 1"]),
    ("unfreeze={embedding:late}", ["unfreeze={embedding: late}", "at least 1"]),
    ("unfreeze={embedding:20}", ["training ends after epoch 10", "freeze=[embedding]"]),
    ("unfreeze=[embedding]", ["unfreeze=[embedding]"]),
    ("unfreeze={embedding:2} trainer.devices=2", ["trainer.strategy=ddp_find_unused_parameters_true"]),
    ("task.class_weights=[1,2,3]", ["the data has 2 classes, received 3 numbers"]),
    ("task.class_weights=[1,-2]", ["a weight is at least 0"]),
    ("task.class_weights=[1,2] task.imbalance=[bias,class_weight]", ["use one of them"]),
    ("data.short_first=-1", ["data.short_first=-1", "at least 0"]),
    ("model=mlp data=csv data.path=gone.csv data.label=y data.short_first=1", ["name the column with them"]),
    ("model=mlp data=iris data.short_first=1", ["data.short_first=1", "data=iris has no key short_first"]),
]


@pytest.mark.parametrize(("command", "expected"), CLASHES, ids=[command for command, _ in CLASHES])
def test_what_does_not_go_together_is_explained(command, expected):
    found = check(command.split())
    assert any(all(part in problem for part in expected) for problem in found), found


@pytest.mark.parametrize("command", [
    "callbacks.checkpoint.top_k=3 callbacks.checkpoint.average=true callbacks.checkpoint.stop_after_minutes=0.5",
    "callbacks=ema callbacks.checkpoint.top_k=3",
    "unfreeze={embedding:2,convolutions.*:10}",
    "unfreeze={embedding:2} trainer.devices=2 trainer.strategy=ddp_find_unused_parameters_true",
    "task.class_weights=[1,2.5] task.imbalance=bias",
    "task.class_weights={positive:3}",
    "data.short_first=2 trainer=deterministic optim=muon",
])  # fmt: skip
def test_what_goes_together(command):
    assert check(command.split()) == []
