"""The metrics of a run, computed again, or those of a labelled file, on the screen."""

import csv
import json
from pathlib import Path

import pytest
from recorded_runs import bundle, called, inside
from tables import write_csv

from runner.errors import UserError
from runner.tracking import artifacts as stored
from runner.verbs.evaluate import Evaluate, own_data
from runner.verbs.predict import Predict

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*type hint:UserWarning"
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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


def test_slices_have_metrics_of_their_own(recorded, tmp_path: Path, capsys) -> None:
    assert called(recorded, Evaluate(run="csv", by="size")) == 0  # a column that the model is not given
    assert "test split by size" in capsys.readouterr().out
    run = bundle(recorded, "csv").parent
    answered = rows_of(run / "files" / "test_rows.csv")
    texts = [row["review"] for row in load_raw(run)]
    sizes = [str(int(text.split("number ")[1].split(",")[0]) % 7) for text in texts]
    for line in rows_of(run / "evaluate_test_by_size.csv")[:-1]:
        mine = [row for row, size in zip(answered, sizes, strict=True) if size == line["size"]]
        assert float(line["rows"]) == len(mine)
        assert float(line["accuracy"]) == pytest.approx(sum(row["truth"] == row["label"] for row in mine) / len(mine))
    path = write_csv(tmp_path / "in.csv", [{"text": "fine", "label": "positive", "from": name} for name in "aab"])
    assert called(recorded, Evaluate(run="textcnn", input=path, by="from")) == 0
    assert f"{path} by from" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"by=sise: .*Did you mean \"size\"\? There are: review, size, stars, truth"):
        called(recorded, Evaluate(run="csv", by="sise"))


def load_raw(run: Path) -> list[dict]:
    with inside(run.parents[2]):
        _, data, _ = own_data(run, "test", {})
    return data.raw("test")


def test_a_classifier_is_calibrated_and_its_temperature_can_be_used(recorded, capsys) -> None:
    assert called(recorded, Evaluate(run="iris", calibrate=True)) == 0
    run = bundle(recorded, "iris").parent
    found = json.loads((run / "calibration.json").read_text())
    assert found["after"]["accuracy"] == found["before"]["accuracy"] and (run / "figures/reliability.png").exists()
    assert called(recorded, Evaluate(run="iris", settings=(f"task.softmax_temperature={found['temperature']}",))) == 1
    scored = json.loads((run / "evaluate_test.json").read_text())
    assert scored["test/loss"] == pytest.approx(found["after"]["loss"], rel=1e-4)
    kept = stored.client(None, recorded[0] / "outputs").list_artifacts(recorded[1]["iris"], "evaluate")
    assert [each.path for each in kept] == ["evaluate/calibration.json", "evaluate/reliability.png"]


def test_a_layer_is_probed_and_errors_have_neighbours(recorded, capsys) -> None:
    assert called(recorded, Evaluate(run="csv", probe="embedding")) == 0
    run = bundle(recorded, "csv").parent
    assert json.loads((run / "probe_embedding.json").read_text())["accuracy"] > 0.9, "one word decides"
    with pytest.raises(UserError, match=r"no module embeding\. Did you mean \"embedding\""):
        called(recorded, Evaluate(run="csv", probe="embeding"))
    assert called(recorded, Evaluate(run="boston", neighbours=2)) == 0
    near = rows_of(bundle(recorded, "boston").parent / "neighbours_of_errors.csv")
    assert len(near) == 20 and all(
        float(a["cosine"]) >= float(b["cosine"]) for a, b in zip(near[::2], near[1::2], strict=True)
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": "x", "calibrate": True}, "by= is measured by itself: leave calibrate out"),
        ({"probe": "x", "input": Path("a.csv")}, "probe= is about the run's own data"),
        ({"by": "x", "output": Path("a.csv")}, "leave output= out"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_loaded(given, message) -> None:
    with pytest.raises(UserError, match=message):
        Evaluate(run="none", **given)()
