"""What a tracker (a database or a server) has stored of a run besides its settings: files, curves, the model."""

import logging
import tempfile
from pathlib import Path
from typing import Any

from runner.errors import UserError, first_line
from runner.tracking.find import RunInfo
from runner.tracking.uri import quiet_mlflow, resolve_uri, with_credentials

log = logging.getLogger(__name__)
MODEL_TAG = "runner.model_uri"


def client(uri: str | None, outputs: Path) -> Any:
    """Return MLflow's client for the tracker, and make it the one that MLflow's other functions use."""
    quiet_mlflow()
    import mlflow
    from mlflow.tracking import MlflowClient

    address = with_credentials(resolve_uri(uri, outputs)[0])
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowClient(address)


def stored_file(client: Any, run: RunInfo, name: str, folder: str | None = None) -> Path:
    """Return a copy of an artifact of a run, in a folder or in a new one.

    Raises:
        UserError: the tracker does not have it.
    """
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(run.id, name, folder or tempfile.mkdtemp(prefix="runner-file-")))
    except (MlflowException, OSError) as error:
        raise UserError(f"the tracker has no {name} of run {run.id} ({run.name}): {first_line(error)}") from error


def stored_text(client: Any, run: RunInfo, name: str) -> str:
    """Return the text of an artifact of a run.

    Raises:
        UserError: the tracker does not have it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return stored_file(client, run, name, scratch).read_text(encoding="utf-8")


def model_uri(run: RunInfo) -> str:
    """Return MLflow's address of the model of a run, `models:/m-...`.

    Raises:
        UserError: the run has not stored a model.
    """
    if MODEL_TAG not in run.tags:
        raise UserError(
            f"run {run.id} ({run.name}) has no model in MLflow: it was trained with tracking.model=false, or its "
            "objective does not answer single rows"
        )
    return run.tags[MODEL_TAG]


def model_folder(run: RunInfo, uri: str | None, outputs: Path) -> Path:
    """Return the folder `model/` of a run: that of its run folder, or, on another machine, the tracker's copy."""
    if run.folder is not None and (run.folder / "model").is_dir():
        return run.folder / "model"
    if MODEL_TAG not in run.tags:
        raise UserError(f"run {run.id} has no trained model: neither in {run.folder} nor in the tracker")
    client(uri, outputs)
    import mlflow.artifacts

    target = Path(tempfile.mkdtemp(prefix="runner-model-"))
    log.info("fetching the model of run %s to %s", run.id, target)
    return Path(mlflow.artifacts.download_artifacts(run.tags[MODEL_TAG], dst_path=str(target))) / "artifacts" / "model"
