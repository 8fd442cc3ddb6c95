"""Runs side by side."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from recorded_runs import called

from runner.errors import UserError
from runner.tracking import artifacts as stored
from runner.verbs import compare
from runner.verbs.compare import Compare

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*type hint:UserWarning"
)


def test_differing_settings_metrics_and_curves(recorded, tmp_path: Path, capsys) -> None:
    _, ids = recorded
    target = tmp_path / "curves.png"
    assert called(recorded, Compare(runs=(ids["textcnn"], ids["csv"]), output=target)) == 0
    printed = capsys.readouterr().out
    assert "data.text" in printed and "review" in printed and "test/accuracy" in printed
    assert "optim.lr" not in printed and "seed" not in printed  # they are the same
    assert str(target) in printed and target.read_bytes().startswith(b"\x89PNG")


def test_a_whole_experiment(recorded, capsys) -> None:
    folder, ids = recorded
    assert called(recorded, Compare(experiment="runner")) == 0
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
    assert steps == [1, 2, 3] and len(values) == 3


def test_settings_found_or_changed_later_count() -> None:
    data = SimpleNamespace(
        params={"optim.lr": "0.1", "seed": "1", "model._target_": "a.B", "tracking.uri": "x"},
        tags={"runner.changed_params": '{"optim.lr": [0.1, 0.02]}', "runner.model": "mlp"},
    )
    assert compare.settings_of(SimpleNamespace(data=data)) == {"model": "mlp", "optim.lr": "0.02", "seed": "1"}


def test_the_best_run_comes_first() -> None:
    def run(mode: str, **metrics: float) -> SimpleNamespace:
        return SimpleNamespace(
            data=SimpleNamespace(params={"task.monitor": "val/x", "task.mode": mode}, metrics=metrics)
        )

    small = {"a": run("min"), "b": run("min", **{"best/x": 2.0}), "c": run("min", **{"best/x": 1.0})}
    assert list(compare.ranked_runs(small)) == ["c", "b", "a"]
    large = {"b": run("max", **{"best/x": 1.0}), "c": run("max", **{"best/x": 2.0})}
    assert list(compare.ranked_runs(large)) == ["c", "b"]


def test_mistakes_are_explained(recorded) -> None:
    _, ids = recorded
    with pytest.raises(UserError, match="or compare experiment=runner"):
        called(recorded, Compare())
    with pytest.raises(UserError, match=r'no experiment "runer"\. Did you mean "runner"'):
        called(recorded, Compare(experiment="runer"))
    with pytest.raises(UserError, match="only one run"):
        called(recorded, Compare(runs=(ids["iris"],)))
    with pytest.raises(UserError, match=r"ends in \.png"):
        called(recorded, Compare(runs=(ids["iris"],), output=Path("a.xls")))
