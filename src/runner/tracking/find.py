"""Finding recorded runs: `run=last`, `run=ID` ..."""

import json
import os
import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.errors import UserError, closest, first_line
from runner.tracking.uri import file_at, quiet_mlflow, resolve_uri, typed_address, with_credentials

SHORTEST_PREFIX = 4
FILE_WITH_ID = "run_id"
# Reading the tables directly takes milliseconds, importing MLflow takes seconds.
ALL_RUNS = (
    "SELECT runs.run_uuid AS id, name, status, artifact_uri, tags.value AS folder FROM runs "
    "LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'runner.folder' "
    "WHERE lifecycle_stage = 'active'"
)


class NoRun(UserError):
    """There is no such run: the record was read, and it is not there."""


@dataclass(frozen=True)
class RunInfo:
    """What the tracker knows about a run.

    Args:
        id: MLflow's id.
        name: its name.
        folder: the run folder, or None if the run was not made by `runner`. It may have been moved later.
        status: RUNNING, FINISHED, FAILED or KILLED; UNKNOWN for a folder that the database does not know.
        artifact_uri: where its artifacts are.
        params: the flat config.
        tags: all tags.
    """

    id: str
    name: str
    folder: Path | None
    status: str
    artifact_uri: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def find_run(uri: str | None, outputs: Path, which: str, status: str | Collection[str] | None = None) -> RunInfo:
    """Return one run.

    Args:
        uri: tracking URI; None for the database in `outputs`.
        outputs: folder of all runs.
        which: "last", the id of a run, the beginning of one, the name of a run, or the path of its folder.
        status: the status (or statuses) it may have; "last" is then the last one of those. None allows all.

    Raises:
        NoRun: there is no such run.
        UserError: there are several, it has another status, or the record cannot be read.
    """
    uri, _ = resolve_uri(uri, outputs)
    which = str(which)
    allowed = {status} if isinstance(status, str) else set(status or ())
    runs = _all_runs(uri)
    folder, run_id = _folder_of(which, runs)
    if run_id is not None:
        run = next((run for run in runs if run.id == run_id), None)
        if run is None:
            return RunInfo(run_id, Path(which).absolute().name, folder, "UNKNOWN")
    elif which == "last":
        run = next((run for run in runs if run.folder and (not allowed or run.status in allowed)), None)
        if run is None:
            wanted = f" that is {' or '.join(sorted(allowed))}" if allowed and runs else ""
            raise NoRun(f"there is no run{wanted} in {typed_address(uri)} yet.{_recent(runs)}")
    else:
        run = _one(which, runs, uri)
    if allowed and run.status not in allowed:
        raise UserError(
            f"run {run.id} ({run.name}) is {run.status}; this needs one that is {' or '.join(sorted(allowed))}"
        )
    return replace(_with_details(uri, run), folder=folder or run.folder)


def runs_with_tag(uri: str | None, outputs: Path, name: str, value: str) -> list[RunInfo]:
    """Return the runs that have the tag `name` with this value.

    Args:
        uri: tracking URI; None for the database in `outputs`.
        outputs: folder of all runs.
        name: name of the tag, such as "mlflow.parentRunId" for the children of a run.
        value: what the tag says.
    """
    uri, _ = resolve_uri(uri, outputs)
    if file_at(uri):
        tagged = "runs.run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
        return [_with_details(uri, run) for run in _select_runs(uri, f"{ALL_RUNS} AND {tagged}", name, value)]
    return _search(uri, filter_string=f"tags.`{name}` = '{value}'", max_results=50000)


def recent_runs(outputs: Path, status: Collection[str], count: int = 20) -> list[str]:
    """Return the ids of the last runs with one of these statuses in the database of `outputs`; [] if on a server."""
    uri, _ = resolve_uri(None, outputs)
    runs = _all_runs(uri) if file_at(uri) else []
    return [run.id for run in runs if run.status in status][:count]


def _folder_of(which: str, runs: list[RunInfo]) -> tuple[Path | None, str | None]:
    """Return (folder, id of its run) if `which` is the path of a run folder, else (None, None)."""
    folder = Path(which).expanduser()
    if not folder.is_dir():
        return None, None
    folder = folder.absolute()
    if (folder / FILE_WITH_ID).is_file():
        return folder, (folder / FILE_WITH_ID).read_text(encoding="utf-8").strip()
    if (folder / "metrics.json").is_file():
        return folder, json.loads((folder / "metrics.json").read_text(encoding="utf-8")).get("run_id")
    begun = [run.id for run in runs if run.folder == folder.resolve()]  # and killed before it wrote its id there
    if begun:
        return folder, begun[0]
    if os.sep in which:
        raise NoRun(f"{which} is not a run folder: it has neither {FILE_WITH_ID} nor metrics.json")
    return None, None


def _one(which: str, runs: list[RunInfo], uri: str) -> RunInfo:
    """Return the run with this id, this name, or an id that begins like this."""
    same_name = [run for run in runs if run.name == which]
    same_start = [run for run in runs if run.id.startswith(which)] if len(which) >= SHORTEST_PREFIX else []
    for found in ([run for run in runs if run.id == which], same_name, same_start):
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f'"{which}" is the name or the beginning of {len(found)} runs; type an id.{_recent(found)}')
    guess = closest(which, {run.name for run in runs} | {run.id for run in runs} | {"last"})
    raise NoRun(f'there is no run "{which}" in {typed_address(uri)}.{guess}{_recent(runs)}')


def _recent(runs: list[RunInfo]) -> str:
    """Return the last runs as lines of a message."""
    lines = [f"  {run.id}  {run.status:<8}  {run.name}" for run in runs[:5]]
    return "\nThe last runs:\n" + "\n".join(lines) if lines else ""


def _all_runs(uri: str) -> list[RunInfo]:
    """Return all runs, the newest first; those of a database without their params and tags."""
    if not file_at(uri):
        return _search(uri, order_by=["attributes.start_time DESC"], max_results=1000)
    return _select_runs(uri, f"{ALL_RUNS} ORDER BY start_time DESC, runs.rowid DESC")


def _search(uri: str, **options: Any) -> list[RunInfo]:
    """Return the runs of a server."""
    quiet_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient(with_credentials(uri))
    try:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        found = client.search_runs(experiments, **options)
    except MlflowException as error:
        raise UserError(f"cannot read runs from {uri}: {first_line(error)}") from error
    return [_run_of_server(run.info, run.data) for run in found]


def _run_of_server(info: Any, data: Any) -> RunInfo:
    folder = _path(data.tags.get("runner.folder"))
    return RunInfo(info.run_id, info.run_name, folder, info.status, info.artifact_uri, data.params, data.tags)


def _select_runs(uri: str, statement: str, *values: str) -> list[RunInfo]:
    """Return the runs that a query of the columns of ALL_RUNS finds, without their params and tags."""
    rows = _select(uri, statement, *values)
    return [RunInfo(run_id, name, _path(folder), status, place) for run_id, name, status, place, folder in rows]


def _path(folder: str | None) -> Path | None:
    return Path(folder) if folder else None


def _with_details(uri: str, run: RunInfo) -> RunInfo:
    """Return the run with its params and tags, which a server has sent with it."""
    if not file_at(uri):
        return run
    query = "SELECT key, value FROM {} WHERE run_uuid = ?"
    params, tags = (dict(_select(uri, query.format(table), run.id)) for table in ("params", "tags"))
    return replace(run, params=params, tags=tags)


def _select(uri: str, statement: str, *values: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query; none if there is no database yet.

    The database is opened for writing, since SQLite then undoes the half of a commit in which its writer was killed.
    """
    file = file_at(uri)
    assert file is not None, "a server is asked through MLflow"
    if not file.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=20.0)) as database:
            return database.execute(statement, values).fetchall()
    except sqlite3.DatabaseError as error:
        raise UserError(f"{file} cannot be read as an MLflow database: {error}") from error
