"""The metrics of a run, computed again, or those of a labelled file, on the screen."""

from pathlib import Path

import pytest
from recorded_runs import called
from tables import write_csv

from runner.errors import UserError
from runner.verbs.evaluate import Evaluate
from runner.verbs.predict import Predict


def test_the_runs_own_data_is_scored_again(recorded, capsys) -> None:
    assert called(recorded, Evaluate(run="csv")) == 0
    assert "test/accuracy" in capsys.readouterr().out
    with pytest.raises(UserError, match="label= goes with input=FILE"):
        called(recorded, Evaluate(run="csv", label="x"))


def test_other_weights_of_a_run(recorded, capsys) -> None:
    """The run kept its best alone, which is place 1: on the validation split, unless another one is typed."""
    assert called(recorded, Evaluate(run="csv", checkpoint="1")) == 0
    assert called(recorded, Evaluate(run="csv", checkpoint="1", split="test")) == 0
    printed = capsys.readouterr().out
    assert "checkpoint=1" in printed and "val/accuracy" in printed and "test/accuracy" in printed
    with pytest.raises(UserError, match=r"checkpoint=2: .* has kept no such weights\. Allowed: 1\."):
        called(recorded, Evaluate(run="csv", checkpoint="2"))
    with pytest.raises(UserError, match="has kept no such weights"):
        called(recorded, Predict(run="csv", checkpoint="average", row=("text=fine",)))


def test_a_measure_is_one_of_the_objective(recorded) -> None:
    with pytest.raises(UserError, match=r"received 'splitt=val'\. Did you mean \"split\"\? Allowed: "):
        called(recorded, Evaluate(run="csv", measure=("splitt=val",)))


def test_a_labelled_file_is_scored(recorded, tmp_path: Path, capsys) -> None:
    path = write_csv(
        tmp_path / "in.csv", [{"text": "fine", "label": "negative"}, {"text": "fine", "label": "positive"}]
    )
    assert called(recorded, Evaluate(run="textcnn", input=path)) == 0
    printed = capsys.readouterr().out
    assert (
        "accuracy" in printed and "0.500000" in printed and f"{path}, line " in printed.split("the largest errors:")[1]
    )
