"""What MLflow's page is told to show."""

import json

from records import begin, uses_mlflow

from runner.tracking.artifacts import client
from runner.tracking.tracker import Tracker
from runner.tracking.view import set_views

pytestmark = uses_mlflow


def test_the_page_opens_on_the_runs_with_model_data_and_main_metric(tmp_path):
    assert set_views(client(None, tmp_path)) is None
    with Tracker(None, tmp_path) as tracker:
        run = begin(tracker, params={"task": {"monitor": "val/rmse"}}, tags={"runner.model": "mlp"})
        run.metrics({"train/loss": 1.0, "val/loss": 1.0, "val/rmse": 1.0, "best/rmse": 1.0, "test/rmse": 2.0}, step=1)
        run.finish("FINISHED")
    mlflow = client(None, tmp_path)
    address = set_views(mlflow)
    experiment = mlflow.get_experiment_by_name("tests")
    assert address == (
        f"#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=runner&workflowType=machine_learning"
    )
    state = json.loads(experiment.tags["mlflow.sharedViewState.runner"])
    assert state["selectedColumns"] == [
        "tags.`runner.model`", "tags.`runner.data`", "metrics.`best/rmse`", "metrics.`test/rmse`",
    ]  # fmt: skip
    charts = {each["displayName"]: each["selectedMetricKeys"] for each in state["compareRunCharts"]}
    assert charts == {"rmse": ["train/rmse", "val/rmse"], "loss": ["train/loss", "val/loss"]}
    (section,) = state["compareRunSections"]
    assert {each["metricSectionId"] for each in state["compareRunCharts"]} == {section["uuid"]}
