"""What the writer does in MLflow: calls wait for a busy database, texts are cut to the length MLflow accepts."""

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from runner.tracking.database import prepare_database, tables_alone
from runner.tracking.environment import environment, is_alive, is_from_here, own_name
from runner.tracking.patience import GaveUp, Patience
from runner.tracking.pyfunc import save_model
from runner.tracking.uri import file_at, with_credentials

T = TypeVar("T")
METRICS_A_BATCH = 1000  # MLflow's limits: points and params a call, characters of a param, a tag and a digest
PARAMS_A_BATCH = 100
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
DIGEST_LENGTH = 36
LOST = "the process and its writer vanished (power cut, a whole job killed at once), or could not store the end"
NOT_IN_A_MODEL_NAME = r"[/:.%\"']"


class PatientClient:
    """MLflow's client; a call that fails for a passing reason is repeated.

    Args:
        client: the client of MLflow that makes each call once.
        patience: repeats them.
    """

    def __init__(self, client: Any, patience: Patience):
        self.client = client
        self.patience = patience

    def __getattr__(self, name: str) -> Any:
        return partial(self.patience, getattr(self.client, name))


class Store:
    """A tracking server or database.

    Args:
        uri: tracking URI, absolute. An SQLite database is created or upgraded first.
        artifact_root: URI of the folder for the artifacts of new experiments; "" leaves it to the server.
        patience: repeats calls that fail for a passing reason, and tells what the user should know.
    """

    def __init__(self, uri: str, artifact_root: str, patience: Patience):
        from mlflow.tracking import MlflowClient

        self.uri = with_credentials(uri)
        self.artifact_root = artifact_root
        self.warn = patience.warn
        if file := file_at(uri):
            prepare_database(file, artifact_root)
        with tables_alone(self.uri):
            client = MlflowClient(self.uri)
            client.search_experiments(max_results=1)  # find out now whether it answers
        self.client = PatientClient(client, patience)

    def start(
        self,
        opened: Callable[["StoredRun"], None],
        experiment: str,
        name: str,
        params: dict[str, str],
        tags: dict[str, str],
        parent: str | None,
        resume: str | None,
        system_metrics: bool,
        context: dict[str, Any],
        time_ms: int,
        again: bool,
        id: str | None,
    ) -> None:
        """Open a new run, or an old one again; `opened` receives it as soon as it has an id.

        Args:
            again: whether a writer that was killed has received the same message.
            id: the id that the run got from it, if it came to that.
        """
        found, diff = environment(context)
        tags = {**tags, "runner.writer": own_name(), **({"mlflow.parentRunId": parent} if parent else {})}
        if known := id or resume:
            run, params = self.reopen(known, params, tags, found)
        else:
            run = self.create(experiment, name, {**found, **tags}, time_ms, again)
        opened(run)
        run.params(params)
        if diff:
            self.client.log_text(run.id, diff, "git.resumed.diff" if run.resumed else "git.diff")
        if system_metrics:
            run.start_monitor()

    def reserve(self, experiment: str, name: str, tags: dict[str, str], time_ms: int, again: bool, id: None) -> str:
        """Create a run that waits for its turn, and return its id; `start(resume=id)` begins it."""
        run = self.create(experiment, name, {**tags, "runner.writer": own_name()}, time_ms, again)
        self.client.update_run(run.id, status="SCHEDULED")
        return run.id

    def create(self, experiment: str, name: str, tags: dict[str, str], time_ms: int, again: bool) -> "StoredRun":
        """Create a run in the experiment, which is created if it does not exist.

        A writer that was killed may have created it just before: one that began in the same millisecond is the same.
        """
        experiment_id = self.experiment_id(experiment)
        tags = {key: str(value)[:TAG_LENGTH] for key, value in tags.items()}
        there = self.client.search_runs([experiment_id], f"attributes.start_time = {time_ms}") if again else []
        for run in (run for run in there if run.info.run_name == name):
            self.set_tags(run.info.run_id, tags)
            return StoredRun(self, run.info.run_id, experiment_id)
        run = self.client.create_run(experiment_id, start_time=time_ms, tags=tags, run_name=name)
        return StoredRun(self, run.info.run_id, experiment_id)

    def experiment_id(self, name: str) -> str:
        """Return the id of the experiment; if several processes need a new one, only one creates it."""
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

    def reopen(
        self, run_id: str, params: dict[str, str], tags: dict[str, str], found: dict[str, str]
    ) -> tuple["StoredRun", dict[str, str]]:
        """Set an old or reserved run to RUNNING; return it and its new params.

        MLflow never changes a param: the differences go to a tag, and so do those of `found`, the environment.
        """
        old = self.client.get_run(run_id)
        resumed = old.info.status != "SCHEDULED"
        deadline = time.monotonic() + 20.0
        while old.info.status == "RUNNING" and is_alive(old.data.tags.get("runner.writer", "")):
            if time.monotonic() > deadline:
                raise RuntimeError(f"run {run_id} is still running, so it cannot be resumed")
            time.sleep(0.1)  # right after a kill, the old writer still stores what it has
            old = self.client.get_run(run_id)
        changes = {
            "runner.changed_params": changed_values(old.data.params, params),
            "runner.changed_environment": changed_values(old.data.tags, found),
        }
        tags = tags if resumed else {**found, **tags}
        # The tags come first: a run that is RUNNING with the name of its old writer would be considered lost.
        self.set_tags(run_id, {**tags, **{name: json.dumps(change) for name, change in changes.items() if change}})
        self.client.update_run(run_id, status="RUNNING")
        for name in {"runner.error", "runner.ended"} & set(old.data.tags):
            self.client.delete_tag(run_id, name)
        # The public dictionary of metrics has no steps; MLflow's own system monitor reads this list as well.
        last_steps = {metric.key: metric.step for metric in self.client.get_run(run_id).data._metric_objs}
        new = {name: value for name, value in params.items() if name not in old.data.params}
        return StoredRun(self, run_id, old.info.experiment_id, last_steps, resumed), new

    def close_lost_runs(self, experiment_id: str) -> None:
        """Mark runs of the experiment KILLED that no process on this machine writes any longer (power cut)."""
        for run in self.client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
            run_id = run.info.run_id
            # Asked again: it may have finished, and its writer ended, after the search. A dead writer cannot change it.
            if has_lost_writer(run) and has_lost_writer(self.client.get_run(run_id)):
                self.set_tags(run_id, {"runner.ended": LOST})
                self.client.set_terminated(run_id, "KILLED")

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags, cut to MLflow's length."""
        from mlflow.entities import RunTag

        for batch in batches([RunTag(key, str(value)[:TAG_LENGTH]) for key, value in tags.items()], PARAMS_A_BATCH):
            self.client.log_batch(run_id, tags=batch)


@dataclass
class StoredRun:
    """A run that is being written. Each message that `Record` declares is handled by the method of the same name.

    Args:
        store: where it is written.
        id: MLflow's id of the run.
        experiment_id: MLflow's id of its experiment.
        last_steps: for a resumed run, the last step of each metric in the database; those are not repeated.
        resumed: whether the run had begun before.
        time_ms: when the message was sent that is being carried out, in milliseconds since 1970.
        points: metric points that are pending until the next batch.
        warned: whether the user has been told that points cannot be stored.
        lacks: why not everything could be stored that will be stored when the run is resumed; None = it was.
        monitor: MLflow's thread for system metrics.
    """

    store: Store
    id: str
    experiment_id: str
    last_steps: dict[str, int] = field(default_factory=dict)
    resumed: bool = False
    time_ms: int = 0
    points: list[Any] = field(default_factory=list)
    warned: bool = False
    lacks: str | None = None
    monitor: Any = None

    def metrics(self, values: dict[str, float], step: int) -> None:
        from mlflow.entities import Metric

        new = {name: float(value) for name, value in values.items() if step > self.last_steps.get(name, -1)}
        self.points += [Metric(name, value, self.time_ms, step) for name, value in new.items()]

    def tags(self, tags: dict[str, str], of: str | None) -> None:
        self.store.set_tags(of or self.id, tags)

    def artifact(self, path: str, folder: str | None) -> None:
        self.store.client.log_artifact(self.id, path, folder)

    def dataset(self, name: str, source: str, digest: str, sizes: dict[str, int], columns: dict[str, str]) -> None:
        """MLflow's page shows name, digest, rows of each split and columns."""
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
        self.store.client.log_inputs(self.id, [DatasetInput(dataset, tags)])
        self.store.set_tags(self.id, {"runner.data_digest": digest})

    def model(
        self,
        folder: str,
        python_model: str,
        inputs: dict[str, str],
        outputs: dict[str, str],
        example: list[dict[str, Any]],
        code: list[str],
    ) -> None:
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        client = self.store.client
        for begun in client.search_logged_models([self.experiment_id], f"source_run_id = '{self.id}'"):
            if begun.status != "READY":  # its writer was killed
                client.delete_logged_model(begun.model_id)
        run = client.get_run(self.id)
        name = re.sub(NOT_IN_A_MODEL_NAME, "_", run.info.run_name)
        model = client.create_logged_model(self.experiment_id, name, self.id, params=run.data.params,
                                           model_type="pyfunc")  # fmt: skip
        header = Model(artifact_path=model.artifact_location, run_id=self.id, model_id=model.model_id)
        code = [str(Path(__file__).resolve().parents[1]), *code]  # the package `runner`
        try:
            with tempfile.TemporaryDirectory() as scratch:
                local = save_model(Path(scratch), header, folder, python_model, inputs, outputs, example, code)
                client.log_model_artifacts(model.model_id, str(local))
        except Exception:
            client.finalize_logged_model(model.model_id, "FAILED")
            raise
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(self.id, [LoggedModelOutput(model.model_id, step=0)])
        self.store.set_tags(self.id, {"runner.model_uri": f"models:/{model.model_id}"})

    def finish(self, status: str, error: str | None = None, ended: str | None = None) -> None:
        """Store everything that is pending, and set the status: a run whose record is incomplete has not finished."""
        try:
            self.flush()
            self.stop_monitor()
        except GaveUp as reason:
            self.lacks = self.lacks or str(reason)
        finally:  # the status must be right even if points are lost
            if self.lacks and status == "FINISHED":
                status, error = "FAILED", f"the training has finished, its record is incomplete: {self.lacks}"
            tags = {"runner.error": (error or "")[-TAG_LENGTH:], "runner.ended": ended or ""}
            self.store.set_tags(self.id, {name: text for name, text in tags.items() if text})
            self.store.client.set_terminated(self.id, status, end_time=self.time_ms)

    def params(self, params: dict[str, str]) -> None:
        """Store params, cut only if MLflow requires it."""
        from mlflow.entities import Param

        for batch in batches([Param(key, value[:PARAM_LENGTH]) for key, value in params.items()], PARAMS_A_BATCH):
            self.store.client.log_batch(self.id, params=batch)
        for name in (name for name, value in params.items() if len(value) > PARAM_LENGTH):
            self.store.warn(f"MLflow keeps {PARAM_LENGTH} characters of the parameter {name}; the config has all")

    def flush(self) -> None:
        """Store the pending points; those that cannot be stored stay pending, and the error is raised."""
        while self.points:
            batch = self.points[:METRICS_A_BATCH]
            self.store.client.log_batch(self.id, metrics=batch)
            del self.points[: len(batch)]
        self.warned = False

    def start_monitor(self) -> None:
        """Start MLflow's thread that measures CPU, memory, disk, network and GPU every ten seconds."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self.monitor = SystemMetricsMonitor(self.id, resume_logging=self.resumed, tracking_uri=self.store.uri)
        self.monitor.start()

    def stop_monitor(self) -> None:
        """Stop the thread after one last sample, so that even a run of a few seconds has one."""
        if self.monitor is not None:
            self.monitor.finish()
            self.monitor.collect_metrics()
            self.monitor.publish_metrics(self.monitor.aggregate_metrics())
            self.monitor.mlflow_logger.flush()


def has_lost_writer(run: Any) -> bool:
    """Whether a run is RUNNING although the process of this machine that wrote it has ended."""
    writer = run.data.tags.get("runner.writer", "")
    return run.info.status == "RUNNING" and is_from_here(writer) and writer != own_name() and not is_alive(writer)


def batches(items: list[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def changed_values(old: dict[str, str], new: dict[str, str]) -> dict[str, list[str]]:
    """Return {name: [old, new]} for the names in both whose values differ."""
    common = [name for name in new if name in old]
    return {name: [old[name], new[name]] for name in common if old[name] != new[name][:PARAM_LENGTH]}
