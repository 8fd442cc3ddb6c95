"""MLflow's database in a file is made once and upgraded once."""

import sqlite3

import pytest
from records import begin, query, start_python, uses_mlflow

from runner.errors import UserError
from runner.tracking.find import find_run
from runner.tracking.record import TrackingError
from runner.tracking.tracker import Tracker


def test_eight_first_runs_at_the_same_instant(tmp_path):
    code = """
        import sys
        from pathlib import Path
        from runner.tracking.tracker import Tracker
        tracker = Tracker(None, Path(sys.argv[1]))
        run = tracker.start("first", "run" + sys.argv[2], {"a": 1}, {}, system_metrics=False)
        run.metrics({"loss": 1.0}, step=1)
        run.finish("FINISHED")
        tracker.close()
    """
    children = [start_python(code, tmp_path / "new" / "outputs", number) for number in range(8)]
    assert [child.wait() for child in children] == [0] * 8
    rows = query(tmp_path / "new" / "outputs", "SELECT status, experiment_id FROM runs")
    assert [status for status, _ in rows] == ["FINISHED"] * 8
    assert len({experiment for _, experiment in rows}) == 1
    files = {path.name for path in (tmp_path / "new" / "outputs").iterdir()}
    assert files - {"mlartifacts"} == {"mlflow.db", "mlflow.db.lock"}


@uses_mlflow
def test_an_old_database_is_upgraded_once(tracker, outputs, tmp_path):
    from alembic import command
    from mlflow.store.db.utils import (
        _get_alembic_config,
        _get_latest_schema_revision,
        create_sqlalchemy_engine,
    )

    begin(tracker).finish("FINISHED")
    source = sqlite3.connect(outputs / "mlflow.db")
    with sqlite3.connect(tmp_path / "mlflow.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    engine = create_sqlalchemy_engine(uri)
    with engine.begin() as connection:
        config = _get_alembic_config(uri)
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    engine.dispose()
    assert query(tmp_path, "SELECT version_num FROM alembic_version") != [(_get_latest_schema_revision(),)]
    with Tracker(None, tmp_path) as tracker:
        begin(tracker).finish("FINISHED")
    assert query(tmp_path, "SELECT version_num FROM alembic_version") == [(_get_latest_schema_revision(),)]
    assert (tmp_path / "mlflow.db.before-upgrade").exists()


def test_a_file_that_is_not_a_database(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is a text, not a database, and long enough to be seen as such" * 20)
    with Tracker(None, tmp_path) as tracker:
        run = begin(tracker)
        with pytest.raises(TrackingError, match="not a database"):
            run.id  # noqa: B018 (a property that waits)
    with pytest.raises(UserError, match="not a database"):
        find_run(None, tmp_path, "last")
