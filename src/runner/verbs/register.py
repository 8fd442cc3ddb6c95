"""`runner register`: the model of a run as a version of a name in MLflow's model registry."""

from pathlib import Path

from runner.errors import UserError
from runner.tracking.artifacts import client, model_uri
from runner.tracking.tracker import find_run


def register(settings: dict[str, str | None], outputs: Path) -> int:
    """Add a version and print how to load it.

    Args:
        settings: run, name, alias and tracking.uri of the command line.
        outputs: the folder with the runs and their database.
    """
    run = find_run(settings["tracking.uri"], outputs, settings["run"], status="FINISHED")
    source, name, alias = model_uri(run), settings["name"], settings["alias"]
    registry = client(settings["tracking.uri"], outputs)
    from mlflow.exceptions import MlflowException

    try:
        if not any(model.name == name for model in registry.search_registered_models(f"name = '{name}'")):
            registry.create_registered_model(name)
        version = registry.create_model_version(name, source, run.id, model_id=source.rpartition("/")[2]).version
        if alias:
            registry.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        raise UserError(f"the model could not be registered as {name}: {error.message.splitlines()[0]}") from error
    print(f"{name}, version {version}: the model of run {run.id}")
    print(f'load it with: mlflow.pyfunc.load_model("models:/{name}{f"@{alias}" if alias else f"/{version}"}")')
    return 0
