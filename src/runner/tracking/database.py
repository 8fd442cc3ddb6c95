"""MLflow's database, a file or on a server: its tables are made by one process while the others wait."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock

from runner.tracking.uri import file_address

POSTGRES_LOCK = 0x72756E6E6572  # any number that all processes know: "runner"


def prepare_database(file: Path, artifact_root: str) -> None:
    """Create the database, or upgrade an older one, while no other process does the same.

    A new database is created under another name and then renamed, so that no process sees an incomplete one.
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
            SqlAlchemyStore(file_address(fresh), artifact_root).engine.dispose()
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
            raise RuntimeError(f"{file} is a database of another program")
        found = database.execute("SELECT version_num FROM alembic_version").fetchone() if tables else None
    return found[0] if found else ""


def upgrade(file: Path) -> None:
    """Upgrade the tables of an older MLflow. A copy is kept, and restored if that fails."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    before = file.with_name(f"{file.name}.before-upgrade")
    shutil.copy2(file, before)
    engine = create_sqlalchemy_engine(file_address(file))
    try:
        _upgrade_db(engine)  # what the command `mlflow db upgrade` calls
    except Exception as error:
        os.replace(before, file)
        raise RuntimeError(f"its tables do not fit this version of MLflow, older or newer ({error})") from error
    finally:
        engine.dispose()


@contextmanager
def tables_alone(uri: str) -> Iterator[None]:
    """While this lasts, no other process makes the tables of a database of PostgreSQL; others are as they are."""
    if not uri.startswith("postgresql"):
        yield
        return
    from sqlalchemy import create_engine, text  # MLflow's own; late, since few record in a database server

    engine = create_engine(uri)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:name)"), {"name": POSTGRES_LOCK})
            yield  # the lock ends with the connection
    finally:
        engine.dispose()
