"""Runs side by side, and the model registry."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.errors import UserError
from runner.tracking import artifacts as stored
from runner.tracking.find import find_run
from runner.verbs import compare, register

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*type hint:UserWarning"
)
SETTINGS = dict.fromkeys(("experiment", "output", "tracking.uri"))


def test_differing_settings_metrics_and_curves(recorded, tmp_path: Path, capsys) -> None:
    folder, ids = recorded
    target = tmp_path / "curves.png"
    assert compare.compare([ids["textcnn"], ids["csv"]], {**SETTINGS, "output": str(target)}, folder / "outputs") == 0
    printed = capsys.readouterr().out
    assert "data.text" in printed and "review" in printed and "test/accuracy" in printed
    assert "optim.lr" not in printed and "seed" not in printed  # they are the same
    assert str(target) in printed and target.read_bytes().startswith(b"\x89PNG")


def test_a_whole_experiment(recorded, capsys) -> None:
    folder, ids = recorded
    assert compare.compare([], {**SETTINGS, "experiment": "runner"}, folder / "outputs") == 0
    printed = capsys.readouterr().out
    assert all(run_id[:6] in printed for run_id in ids.values())
    assert (folder / "outputs" / "compare.png").exists()


def test_curves_of_the_loss_and_of_what_selects(recorded) -> None:
    folder, ids = recorded
    tracker = stored.client(None, folder / "outputs")
    runs = [tracker.get_run(ids[name]) for name in ("textcnn", "boston", "tfidf")]
    found = compare.curves(tracker, runs, ["a", "b", "c"])
    assert {"loss", "rmse"} <= set(found)
    assert list(found["loss"]) == ["a", "b"] and list(found["rmse"]) == ["b"]  # an estimator has no curve
    steps, values = found["loss"]["a"][0]
    assert steps == [5, 10, 15] and len(values) == 3


def test_settings_found_or_changed_later_count() -> None:
    data = SimpleNamespace(
        params={"optim.lr": "0.1", "seed": "1", "model._target_": "a.B", "tracking.uri": "x"},
        tags={"runner.changed_params": '{"optim.lr": [0.1, 0.02]}', "runner.model": "mlp"},
    )
    assert compare.settings_of(SimpleNamespace(data=data)) == {"model": "mlp", "optim.lr": "0.02", "seed": "1"}


def test_mistakes_are_explained(recorded) -> None:
    folder, ids = recorded
    outputs = folder / "outputs"
    with pytest.raises(UserError, match="or compare experiment=runner"):
        compare.compare([], SETTINGS, outputs)
    with pytest.raises(UserError, match=r'no experiment "runer"\. Did you mean "runner"'):
        compare.compare([], {**SETTINGS, "experiment": "runer"}, outputs)
    with pytest.raises(UserError, match="one run only"):
        compare.compare([ids["iris"]], SETTINGS, outputs)
    with pytest.raises(UserError, match=r"ends in \.png"):
        compare.compare([ids["iris"]], {**SETTINGS, "output": "a.xls"}, outputs)


def test_versions_of_a_registered_model(recorded, capsys) -> None:
    import mlflow.pyfunc
    import pandas

    folder, ids = recorded
    settings = {"name": "flowers", "alias": None, "tracking.uri": None}
    for name, alias in (("iris", None), ("boston", "best")):
        assert register.register({**settings, "run": ids[name], "alias": alias}, folder / "outputs") == 0
    assert 'load_model("models:/flowers@best")' in capsys.readouterr().out
    row = {name: [0.5] for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")}
    assert "label" in mlflow.pyfunc.load_model("models:/flowers/1").predict(pandas.DataFrame(row)).columns


def test_the_tracker_gives_the_model_where_the_folder_is_gone(recorded, tmp_path: Path) -> None:
    from dataclasses import replace

    from runner.inference.predictor import Predictor

    folder, ids = recorded
    run = find_run(None, folder / "outputs", ids["iris"])
    rows = [dict.fromkeys(("sepal_length", "sepal_width", "petal_length", "petal_width"), 1.5)]
    fetched = stored.model_folder(replace(run, folder=tmp_path / "gone"), None, folder / "outputs")
    assert list(Predictor(fetched)(rows)) == list(Predictor(run.folder / "model")(rows))
    with pytest.raises(UserError, match="has no trained model"):
        stored.model_folder(replace(run, folder=tmp_path / "gone", tags={}), None, folder / "outputs")
    with pytest.raises(UserError, match="has no model in MLflow"):
        stored.model_uri(replace(run, tags={}))
