"""The same answers wherever a model is asked, and rows that cannot be read named."""

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_runs import bundle
from records import uses_mlflow
from tables import write_csv

from runner.errors import UserError
from runner.inference.predictor import Predictor, cleaned
from runner.inference.scoring import score_file
from runner.tracking import artifacts
from runner.tracking.find import find_run

pytestmark = uses_mlflow


def test_a_model_of_another_version_says_so(recorded, tmp_path: Path) -> None:
    shutil.copytree(bundle(recorded, "iris"), tmp_path / "model")
    config = tmp_path / "model" / "config.yaml"
    config.write_text(config.read_text().replace("hidden_dims", "layers"))
    with pytest.raises(UserError, match=r"does not fit this version .*'layers'"):
        Predictor(tmp_path / "model")


@pytest.mark.parametrize("name", ["textcnn", "iris", "boston", "csv", "tfidf"])
def test_mlflow_answers_the_same(recorded, name: str) -> None:
    """The model that the run has logged, loaded without runner, to the last digit."""
    import mlflow
    import pandas

    folder, ids = recorded
    predictor = Predictor(bundle(recorded, name))
    predictor.data.setup() if name != "csv" else None
    rows = (
        [{"review": f"fine {n} {'dull ' * (n % 9)}"} for n in range(300)]
        if name == "csv"
        else predictor.data.raw("test", 300)
    )
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'outputs' / 'mlflow.db'}")
    run_name = mlflow.get_run(ids[name]).info.run_name
    model = mlflow.pyfunc.load_model(f"runs:/{ids[name]}/{run_name}")
    assert model.predict(pandas.DataFrame(rows)).to_dict("records") == list(predictor(rows))
    with pytest.raises(mlflow.MlflowException, match=r"empty|finite") as error:
        model.predict(pandas.DataFrame([{k: " " if isinstance(v, str) else float("nan") for k, v in rows[0].items()}]))
    assert error.value.get_http_status_code() == 400


@pytest.mark.parametrize("name", ["iris", "boston"])
def test_numbers_too_large_for_the_net_are_refused_everywhere(recorded, name: str, tmp_path: Path) -> None:
    import mlflow
    import pandas

    folder, ids = recorded
    predictor = Predictor(bundle(recorded, name))
    columns = list(predictor.columns)
    row = dict.fromkeys(columns, 1.5)
    for power in (*range(30, 39), 39, 308):
        for value in (10.0**power, -(10.0**power)):
            wrong = row | {columns[1]: value}
            try:
                answers = list(predictor([row, wrong]))
            except UserError as error:
                assert re.match(r"(?i)row \d", str(error)), error
            else:
                assert power < 39 and all(math.isfinite(v) for v in answers[1].values() if isinstance(v, float))
    with pytest.raises(UserError, match=rf'row 2, column "{columns[1]}": 1e\+308 is too large'):
        list(predictor([row, row | {columns[1]: 1e308}]))
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'outputs' / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model(f"runs:/{ids[name]}/{mlflow.get_run(ids[name]).info.run_name}")
    with pytest.raises(mlflow.MlflowException, match="is too large") as refused:
        model.predict(pandas.DataFrame([row | {columns[1]: 1e308}]))
    assert refused.value.get_http_status_code() == 400
    assert predictor.data.targets is not None
    (label,) = predictor.data.targets.columns(predictor.cfg.data.get("label"))
    truth = predictor.data.targets.names[0] if name == "iris" else 20
    table = [row | {label: truth}, row | {columns[1]: 1e308, label: truth}]
    with pytest.raises(UserError, match=rf'a.csv, line 3, column "{columns[1]}": .1e\+308. is too large'):
        score_file(predictor, write_csv(tmp_path / "a.csv", table), None, None)


def test_an_answer_that_is_no_number_is_refused(recorded, monkeypatch) -> None:
    predictor = Predictor(bundle(recorded, "boston"))
    row = dict.fromkeys(predictor.columns, 1.5)
    monkeypatch.setattr(predictor, "answer", lambda rows, data: [{"price": float("nan")} for _ in rows])
    with pytest.raises(UserError, match=r"row 1: the answer price is nan"):
        list(predictor([row]))


def test_the_tracker_gives_the_model_where_the_folder_is_gone(recorded, tmp_path: Path) -> None:
    folder, ids = recorded
    run = find_run(None, folder / "outputs", ids["iris"])
    rows = [dict.fromkeys(("sepal_length", "sepal_width", "petal_length", "petal_width"), 1.5)]
    fetched = artifacts.model_folder(replace(run, folder=tmp_path / "gone"), None, folder / "outputs")
    assert list(Predictor(fetched)(rows)) == list(Predictor(run.folder / "model")(rows))
    with pytest.raises(UserError, match="has no trained model"):
        artifacts.model_folder(replace(run, folder=tmp_path / "gone", tags={}), None, folder / "outputs")
    with pytest.raises(UserError, match="has no model in MLflow"):
        artifacts.model_uri(replace(run, tags={}))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, 'row 1 has no column "text".*received: nothing'),
        ({"txet": "a"}, "only txet"),
        ({"text": " "}, "the text is empty"),
        ({"text": None}, "the text is empty"),
        ({"text": ["a"]}, "a list where a text is expected"),
    ],
)
def test_rows_that_cannot_be_read_are_named(row: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cleaned(row, {"text": "string"}, "row 1")


def test_settings_of_the_objective_may_be_changed_where_it_says_so(trained) -> None:
    bundle = trained("char_rnn") / "model"
    (answer,) = Predictor(bundle, changed={"sample_len": 3})([{"text": "the "}])
    assert len(answer["continuation"]) == 3
    with pytest.raises(UserError, match=r"task\.temprature= cannot be changed.*Did you mean \"temperature\""):
        Predictor(bundle, changed={"temprature": 2})
    with pytest.raises(UserError, match="temperature must be above 0"):
        Predictor(bundle, changed={"temperature": 0})
    with pytest.raises(UserError, match=r"Classification lets you change: task\.softmax_temperature"):
        Predictor(trained("mlp") / "model", changed={"num_outputs": 9})
