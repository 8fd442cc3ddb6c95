"""How MLflow's page shows the runs of an experiment: columns, and charts with training and validation together.

The page keeps such choices in the browser. What it takes from outside is a shared view: a tag of the experiment that
holds the choices, named in the address.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

VIEW = "runner"  # name of the shared view
MOST_RUNS = 200  # the newest ones, whose metrics decide


def set_views(client: "MlflowClient") -> str | None:
    """Give every experiment with runs its view; return the address of the one with the newest run, after the host."""
    newest: dict[int, str] = {}
    for experiment in client.search_experiments():
        runs = client.search_runs([experiment.experiment_id], max_results=MOST_RUNS)
        if not runs:
            continue
        newest[max(run.info.start_time for run in runs)] = experiment.experiment_id
        state = json.dumps(view(runs))
        client.set_experiment_tag(experiment.experiment_id, f"mlflow.sharedViewState.{VIEW}", state)
    if not newest:
        return None
    return f"#/experiments/{newest[max(newest)]}/runs?viewStateShareKey={VIEW}&workflowType=machine_learning"


def view(runs: Iterable["Run"]) -> dict[str, Any]:
    """Return the state of the page that shows model, data and the main metrics of the runs."""
    recorded = {name for run in runs for name in run.data.metrics}
    monitored = [run.data.params.get("task.monitor", "").partition("/")[2] for run in runs]
    names = list(dict.fromkeys([*filter(None, monitored), "loss", "accuracy"]))
    metrics = [f"{split}/{name}" for name in names for split in ("best", "test") if f"{split}/{name}" in recorded]
    charts = [chart(name) for name in names if {f"train/{name}", f"val/{name}"} & recorded]
    return {
        "selectedColumns": ["tags.`runner.model`", "tags.`runner.data`", *(f"metrics.`{name}`" for name in metrics)],
        "compareRunCharts": charts,
        "compareRunSections": [{"uuid": VIEW, "name": "training and validation", "display": True}],
        "isAccordionReordered": True,
    }


def chart(name: str) -> dict[str, Any]:
    """Return a chart of a metric on both splits."""
    both = [f"{split}/{name}" for split in ("train", "val")]
    return {
        "type": "LINE",
        "uuid": f"{VIEW}-{name}",
        "metricSectionId": VIEW,
        "displayName": name,
        "metricKey": both[0],
        "selectedMetricKeys": both,
        "xAxisKey": "step",
        "useGlobalXaxisKey": True,
        "runsCountToCompare": 10,
        "deleted": False,
        "isGenerated": False,
    }
