"""Finding recorded runs: `run=last`, `run=ID` ..."""

import json
import os
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.errors import UserError, closest
from runner.tracking.uri import hide_password, quiet_mlflow, resolve_uri

SHORTEST_PREFIX = 4
FILE_WITH_ID = "run_id"
# Reading the tables directly takes milliseconds, importing MLflow takes seconds.
ALL_RUNS = (
    "SELECT runs.run_uuid AS id, name, status, artifact_uri, tags.value AS folder FROM runs "
    "LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'runner.folder' "
    "WHERE lifecycle_stage = 'active'"
)


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
        UserError: there is no such run, there are several, or it has another status.
    """
    uri, _ = resolve_uri(uri, outputs)
    which = str(which)
    allowed = {status} if isinstance(status, str) else set(status or ())
    folder, run_id = _folder_of(which)
    rows = _all_runs(uri)
    if run_id is not None:
        row = next((row for row in rows if row["id"] == run_id), None)
        if row is None:
            return RunInfo(run_id, Path(which).absolute().name, folder, "UNKNOWN")
    elif which == "last":
        row = next((row for row in rows if row["folder"] and (not allowed or row["status"] in allowed)), None)
        if row is None:
            wanted = f" that is {' or '.join(sorted(allowed))}" if allowed and rows else ""
            raise UserError(f"there is no run{wanted} in {hide_password(uri)} yet.{_recent(rows)}")
    else:
        row = _one(which, rows, uri)
    if allowed and row["status"] not in allowed:
        raise UserError(
            f"run {row['id']} ({row['name']}) is {row['status']}; this needs one that is {' or '.join(sorted(allowed))}"
        )
    return _details(uri, row, folder)


def runs_with_tag(uri: str | None, outputs: Path, name: str, value: str) -> list[RunInfo]:
    """Return the runs that have the tag `name` with this value.

    Args:
        uri: tracking URI; None for the database in `outputs`.
        outputs: folder of all runs.
        name: name of the tag, such as "mlflow.parentRunId" for the children of a run.
        value: what the tag says.
    """
    uri, _ = resolve_uri(uri, outputs)
    if uri.startswith("sqlite:///"):
        rows = _select(uri, f"{ALL_RUNS} AND runs.run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)",
                       name, value)  # fmt: skip
    else:
        rows = _search(uri, filter_string=f"tags.`{name}` = '{value}'", max_results=50000)
    return [_details(uri, row, None) for row in rows]


def recent_runs(outputs: Path, count: int = 20) -> list[str]:
    """Return the ids of the last finished runs in the database of `outputs`; empty if it is on a server."""
    uri, _ = resolve_uri(None, outputs)
    rows = _all_runs(uri) if uri.startswith("sqlite:///") else []
    return [row["id"] for row in rows if row["status"] == "FINISHED"][:count]


def _folder_of(which: str) -> tuple[Path | None, str | None]:
    """Return (folder, id of the run) if `which` is the path of a run folder, else (None, None)."""
    folder = Path(which).expanduser()
    if not folder.is_dir():
        return None, None
    folder = folder.absolute()
    if (folder / FILE_WITH_ID).is_file():
        return folder, (folder / FILE_WITH_ID).read_text(encoding="utf-8").strip()
    if (folder / "metrics.json").is_file():
        return folder, json.loads((folder / "metrics.json").read_text(encoding="utf-8")).get("run_id")
    if os.sep in which:
        raise UserError(f"{which} is not a run folder: it has neither {FILE_WITH_ID} nor metrics.json")
    return None, None


def _one(which: str, rows: list[dict[str, Any]], uri: str) -> dict[str, Any]:
    """Return the run with this id, this name, or an id that begins like this."""
    same_name = [row for row in rows if row["name"] == which]
    same_start = [row for row in rows if row["id"].startswith(which)] if len(which) >= SHORTEST_PREFIX else []
    for found in ([row for row in rows if row["id"] == which], same_name, same_start):
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f'"{which}" is the name or the beginning of {len(found)} runs; type an id.{_recent(found)}')
    guess = closest(which, {row["name"] for row in rows} | {row["id"] for row in rows} | {"last"})
    raise UserError(f'there is no run "{which}" in {hide_password(uri)}.{guess}{_recent(rows)}')


def _recent(rows: list[dict[str, Any]]) -> str:
    """Return the last runs as lines of a message."""
    lines = [f"  {row['id']}  {row['status']:<8}  {row['name']}" for row in rows[:5]]
    return "\nThe last runs:\n" + "\n".join(lines) if lines else ""


def _all_runs(uri: str) -> list[dict[str, Any]]:
    """Return id, name, status, artifact_uri and folder of all runs, the newest first."""
    if not uri.startswith("sqlite:///"):
        return _search(uri, order_by=["attributes.start_time DESC"], max_results=1000)
    return _select(uri, f"{ALL_RUNS} ORDER BY start_time DESC, runs.rowid DESC")


def _search(uri: str, **options: Any) -> list[dict[str, Any]]:
    """Return the runs of a server, as `_all_runs` does."""
    quiet_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    try:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        found = client.search_runs(experiments, **options)
    except MlflowException as error:
        raise UserError(f"cannot read runs from {hide_password(uri)}: {str(error).splitlines()[0]}") from error
    return [
        {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "artifact_uri": run.info.artifact_uri,
            "folder": run.data.tags.get("runner.folder"),
            "params": run.data.params,
            "tags": run.data.tags,
        }
        for run in found
    ]


def _details(uri: str, row: dict[str, Any], folder: Path | None) -> RunInfo:
    """Return the run with its params and tags."""
    if "params" not in row:
        for table in ("params", "tags"):
            pairs = _select(uri, f"SELECT key, value FROM {table} WHERE run_uuid = ?", row["id"])
            row[table] = {pair["key"]: pair["value"] for pair in pairs}
    folder = folder or (Path(row["folder"]) if row["folder"] else None)
    return RunInfo(row["id"], row["name"], folder, row["status"], row["artifact_uri"], row["params"], row["tags"])


def _select(uri: str, statement: str, *values: str) -> list[dict[str, Any]]:
    """Return the rows of a query; none if there is no database yet."""
    file = Path(uri.removeprefix("sqlite:///"))
    if not file.exists():
        return []
    try:
        with sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=20.0) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute(statement, values)]
        database.close()
    except sqlite3.DatabaseError as error:
        raise UserError(f"{file} cannot be read as an MLflow database: {error}") from error
    return rows
