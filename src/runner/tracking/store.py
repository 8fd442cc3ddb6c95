"""What the writer does in MLflow: calls wait out a busy database, texts are cut to what MLflow takes."""

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from runner.tracking.environment import is_alive, is_from_here, own_name
from runner.tracking.pyfunc import package_folder, save_model

T = TypeVar("T")
METRICS_A_BATCH = 1000  # MLflow's limits: points and params a call, characters of a param, a tag and a digest
PARAMS_A_BATCH = 100
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
DIGEST_LENGTH = 36
PATIENCE = 60.0  # seconds a busy database or a silent server is asked again
PASSING = (
    "locked",
    "disk is full",
    "disk i/o",
    "max retries exceeded",
    "connection",
    "timed out",
    "status code 5",
)
LOST = "the process and its writer vanished (power cut, or a whole job killed at once)"


@dataclass
class OpenRun:
    """A run that is being written.

    Args:
        id: MLflow's id of the run.
        experiment_id: MLflow's id of its experiment.
        stored: for a resumed run, the last step of each metric in the database; those are not repeated.
        points: metric points that wait for the next batch.
        monitor: MLflow's thread for system metrics, or None.
        resumed: whether the run had begun before.
        warned: whether the user knows that points wait because the database does not answer.
    """

    id: str
    experiment_id: str
    stored: dict[str, int] = field(default_factory=dict)
    points: list[Any] = field(default_factory=list)
    monitor: Any = None
    warned: bool = False
    resumed: bool = False


class Store:
    """A tracking server or database.

    Args:
        uri: tracking URI, absolute. An SQLite database is created or upgraded first.
        artifact_root: URI of the folder for the artifacts of new experiments; "" leaves it to the server.
    """

    def __init__(self, uri: str, artifact_root: str):
        from mlflow.tracking import MlflowClient

        self.artifact_root = artifact_root
        if uri.startswith("sqlite:///"):
            prepare_database(Path(uri.removeprefix("sqlite:///")), artifact_root)
        self.client = MlflowClient(uri)
        self.client.search_experiments(max_results=1)  # now rather than later: does it answer?

    def create_run(self, experiment: str, name: str, tags: dict[str, str], time_ms: int) -> OpenRun:
        """Create a run in the experiment, which is created if it does not exist."""
        experiment_id = again(lambda: self.experiment_id(experiment))
        tags = {key: str(value)[:TAG_LENGTH] for key, value in tags.items()}
        run = again(lambda: self.client.create_run(experiment_id, start_time=time_ms, tags=tags, run_name=name))
        return OpenRun(run.info.run_id, experiment_id)

    def reserve_run(self, experiment: str, name: str, tags: dict[str, str], time_ms: int) -> OpenRun:
        """Create a run that waits for its turn; `reopen_run` begins it."""
        run = self.create_run(experiment, name, tags, time_ms)
        again(lambda: self.client.update_run(run.id, status="SCHEDULED"))
        return run

    def experiment_id(self, name: str) -> str:
        """Return the id of the experiment; of processes that find none at once, one creates it."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return self.client.create_experiment(name, artifact_location=self.artifact_root or None)
            except MlflowException:
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise RuntimeError(f'the experiment "{name}" was deleted in MLflow: restore it or choose another name')
        return found.experiment_id

    def reopen_run(
        self, run_id: str, params: dict[str, str], tags: dict[str, str], environment: dict[str, str]
    ) -> OpenRun:
        """Set an old or reserved run to RUNNING. MLflow never changes a param: those that differ go to a tag."""
        old = self.get_run(run_id)
        resumed = old.info.status != "SCHEDULED"
        deadline = time.monotonic() + 20.0
        while old.info.status == "RUNNING" and is_alive(old.data.tags.get("runner.writer", "")):
            if time.monotonic() > deadline:
                raise RuntimeError(f"run {run_id} is still running, so it cannot be resumed")
            time.sleep(0.1)  # right after a kill, the old writer still stores what it has
            old = self.get_run(run_id)
        changes = {
            "runner.changed_params": differences(old.data.params, params),
            "runner.changed_environment": differences(old.data.tags, environment),
        }
        tags = tags if resumed else {**environment, **tags}
        # The tags first: a run that is RUNNING with the name of its old writer would be taken for lost.
        self.set_tags(run_id, {**tags, **{name: json.dumps(change) for name, change in changes.items() if change}})
        again(lambda: self.client.update_run(run_id, status="RUNNING"))
        for name in {"runner.error", "runner.ended"} & set(old.data.tags):
            again(lambda name=name: self.client.delete_tag(run_id, name))
        self.log_params(run_id, {name: value for name, value in params.items() if name not in old.data.params})
        # The public dictionary of metrics has no steps; MLflow's own system monitor reads this list as well.
        stored = {metric.key: metric.step for metric in self.get_run(run_id).data._metric_objs}
        return OpenRun(run_id, old.info.experiment_id, stored, resumed=resumed)

    def get_run(self, run_id: str) -> Any:
        """Return MLflow's own object of a run."""
        return again(lambda: self.client.get_run(run_id))

    def close_run(self, run: OpenRun, status: str, time_ms: int | None) -> None:
        """Set the final status of a run and its end, now if `time_ms` is None."""
        again(lambda: self.client.set_terminated(run.id, status, end_time=time_ms))

    def close_lost_runs(self, experiment_id: str) -> None:
        """Mark runs of the experiment KILLED that no process of this machine writes any more (power cut)."""
        for run in again(lambda: self.client.search_runs([experiment_id], "attributes.status = 'RUNNING'")):
            run_id = run.info.run_id
            # Asked again: it may have finished, and its writer ended, after the search. A dead writer changes no more.
            if has_lost_writer(run) and has_lost_writer(self.get_run(run_id)):
                self.set_tags(run_id, {"runner.ended": LOST})
                again(lambda run_id=run_id: self.client.set_terminated(run_id, "KILLED"))

    def log_params(self, run_id: str, params: dict[str, str]) -> None:
        """Store params, uncut as far as MLflow allows."""
        from mlflow.entities import Param

        for batch in batches([Param(key, value[:PARAM_LENGTH]) for key, value in params.items()], PARAMS_A_BATCH):
            again(lambda batch=batch: self.client.log_batch(run_id, params=batch))

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags, cut to MLflow's length."""
        from mlflow.entities import RunTag

        for batch in batches([RunTag(key, str(value)[:TAG_LENGTH]) for key, value in tags.items()], PARAMS_A_BATCH):
            again(lambda batch=batch: self.client.log_batch(run_id, tags=batch))

    def flush(self, run: OpenRun, patience: float = PATIENCE) -> None:
        """Store the points that wait; what cannot be stored goes on waiting, and the error is raised."""
        while run.points:
            batch = run.points[:METRICS_A_BATCH]
            again(lambda batch=batch: self.client.log_batch(run.id, metrics=batch), patience)
            del run.points[: len(batch)]
        run.warned = False

    def log_artifact(self, run: OpenRun, path: str, folder: str | None) -> None:
        """Copy a file or a folder to the artifacts of the run."""
        again(lambda: self.client.log_artifact(run.id, path, folder))

    def log_dataset(
        self,
        run: OpenRun,
        name: str,
        source: str,
        digest: str,
        sizes: dict[str, int],
        columns: dict[str, str],
    ) -> None:
        """Record what the run read: MLflow's page shows name, digest, rows of each split and columns."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=name[:500],
            digest=digest[:DIGEST_LENGTH],
            source_type="runner",
            source=json.dumps({"source": source, "sha256": digest}),
            schema=json.dumps({"columns": columns}),
            profile=json.dumps({"rows": sizes}),
        )
        tags = [InputTag("mlflow.data.context", ", ".join(sizes))]
        tags += [InputTag(f"rows.{split}", str(size)) for split, size in sizes.items()]
        again(lambda: self.client.log_inputs(run.id, [DatasetInput(dataset, tags)]))
        self.set_tags(run.id, {"runner.data_digest": digest})

    def log_model(self, run: OpenRun, code: list[str], **parts: Any) -> None:
        """Store a folder as the pyfunc model of the run; `parts` are the arguments of `save_model`."""
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        params = self.get_run(run.id).data.params
        model = self.client.create_logged_model(run.experiment_id, "model", run.id, params=params, model_type="pyfunc")
        header = Model(artifact_path=model.artifact_location, run_id=run.id, model_id=model.model_id)
        try:
            with tempfile.TemporaryDirectory() as scratch:
                local = save_model(Path(scratch), header, code=[package_folder("runner"), *code], **parts)
                self.client.log_model_artifacts(model.model_id, str(local))
        except Exception:
            self.client.finalize_logged_model(model.model_id, "FAILED")
            raise
        self.client.finalize_logged_model(model.model_id, "READY")
        again(lambda: self.client.log_outputs(run.id, [LoggedModelOutput(model.model_id, step=0)]))
        self.set_tags(run.id, {"runner.model_uri": f"models:/{model.model_id}"})


def has_lost_writer(run: Any) -> bool:
    """Whether a run is RUNNING although the process of this machine that wrote it is no more."""
    writer = run.data.tags.get("runner.writer", "")
    return run.info.status == "RUNNING" and is_from_here(writer) and writer != own_name() and not is_alive(writer)


def prepare_database(file: Path, artifact_root: str) -> None:
    """Create the database, or bring an older one up to date, while no other process does the same.

    A new database is built beside its place and then renamed, so that nobody meets one that is half made.
    """
    # The slow imports come before the lock: processes that start together wait for the database only.
    from mlflow.store.db.utils import _get_latest_schema_revision
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        version = schema_version(file)
        if not version:
            fresh = file.with_name(f"{file.name}.new")
            fresh.unlink(missing_ok=True)
            SqlAlchemyStore(f"sqlite:///{fresh}", artifact_root).engine.dispose()
            os.replace(fresh, file)
        elif version != _get_latest_schema_revision():
            upgrade(file)


def schema_version(file: Path) -> str:
    """Return the version of the tables in a database; "" if there is no database or nothing in it."""
    if not file.exists():
        return ""
    with closing(sqlite3.connect(file, timeout=20.0)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "alembic_version" not in tables:
            raise RuntimeError(f"{file} is a database of something else")
        found = database.execute("SELECT version_num FROM alembic_version").fetchone() if tables else None
    return found[0] if found else ""


def upgrade(file: Path) -> None:
    """Bring the tables of an older MLflow up to date. A copy is kept, and put back if that fails."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    before = file.with_name(f"{file.name}.before-upgrade")
    shutil.copy2(file, before)
    engine = create_sqlalchemy_engine(f"sqlite:///{file}")
    try:
        _upgrade_db(engine)  # what the command `mlflow db upgrade` calls
    except Exception as error:
        os.replace(before, file)
        raise RuntimeError(f"its tables do not fit this version of MLflow, older or newer ({error})") from error
    finally:
        engine.dispose()


def again(call: Callable[[], T], patience: float = PATIENCE) -> T:
    """Return what `call` returns; an error that may pass (a busy database) is waited out (seconds)."""
    deadline = time.monotonic() + patience
    pause = 0.05
    while True:
        try:
            return call()
        except Exception as error:
            if time.monotonic() >= deadline or not any(word in str(error).lower() for word in PASSING):
                raise
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def batches(items: list[Any], size: int) -> list[list[Any]]:
    """Return the items in lists of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def differences(old: dict[str, str], new: dict[str, str]) -> dict[str, list[str]]:
    """Return {name: [old, new]} for the names in both whose values differ."""
    common = [name for name in new if name in old]
    return {name: [old[name], new[name]] for name in common if old[name] != new[name][:PARAM_LENGTH]}
