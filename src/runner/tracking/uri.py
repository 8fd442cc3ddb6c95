"""Where runs are recorded: the tracking URI, the folder of the artifacts, the environment of MLflow.

User names and passwords are in MLflow's environment variables alone, never in an address that is stored or printed.
"""

import os
import re
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote

from runner.errors import UserError
from runner.files.secrets import ADDRESS, without_credentials

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
DATABASES = ("postgresql", "mysql", "mssql")  # besides SQLite
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the writer repeats calls itself
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def resolve_uri(uri: str | None, outputs: Path) -> tuple[str, str]:
    """Return the absolute tracking URI and the URI of the folder for artifacts ("": the server chooses).

    What is typed after sqlite:/// is a path and is taken as it stands.
    """
    outputs = Path(outputs).absolute()
    uri = bare(f"tracking.uri={uri}").removeprefix("tracking.uri=") if uri else f"sqlite:///{outputs / DATABASE}"
    scheme = uri.partition(":")[0].partition("+")[0]
    if uri.startswith("sqlite:///") and uri.removeprefix("sqlite:///") not in ("", ":memory:"):
        file = Path(uri.removeprefix("sqlite:///")).absolute()
        return file_address(file), (file.parent / ARTIFACTS).as_uri()
    if "://" in uri and scheme in ("http", "https"):
        return uri.rstrip("/"), ""
    if "://" in uri and scheme in DATABASES:
        return uri, (outputs / ARTIFACTS).as_uri()
    raise UserError(
        f'tracking.uri="{uri}" is not a place MLflow can write to. Allowed: null (outputs/{DATABASE}), '
        "sqlite:///FILE, http://HOST:PORT, postgresql://..., mysql://... "
        f"For a database in a file type tracking.uri=sqlite:///{uri if uri.endswith('.db') else DATABASE}"
    )


def bare(argument: str) -> str:
    """Return `tracking.uri=...` without user name and password, which MLflow's environment variables then hold."""
    found = ADDRESS.search(argument)
    if found is None or not found["who"] or not argument.lstrip("+").startswith("tracking.uri="):
        return argument
    user, _, password = found["who"].partition(":")
    os.environ |= {USER: unquote(user), **({PASSWORD: unquote(password)} if password else {})}
    return argument.replace(f"{found['who']}@", "", 1)


def bare_arguments(arguments: list[str]) -> list[str]:
    """Return what is typed without the user name and password of the tracker, and say so."""
    found = [bare(argument) for argument in arguments]
    if found != arguments:
        print(
            f"runner: the user name and password of tracking.uri are not recorded; set {USER} and {PASSWORD} in the "
            "environment instead of typing them",
            file=sys.stderr,
        )
    return found


def with_credentials(uri: str) -> str:
    """Return the address that MLflow is given: a database takes user name and password in it, a server does not."""
    start, _, rest = uri.partition("://")
    if start.partition("+")[0] not in DATABASES or not os.environ.get(USER) or "@" in rest:
        return uri
    who = ":".join(quote(os.environ[name], safe="") for name in (USER, PASSWORD) if os.environ.get(name))
    return f"{start}://{who}@{rest}"


def file_address(file: Path) -> str:
    """Return SQLAlchemy's address of a database file, in which % and ? have to be quoted.

    For a plain `sqlite:///` MLflow would also create the folder whose name is the quoted one.
    """
    quoted = str(file).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{file}" if quoted == str(file) else f"sqlite+pysqlite:///{quoted}"


def file_at(address: str) -> Path | None:
    """Return the database file of an address that `resolve_uri` has returned; None for a server."""
    return Path(unquote(address.partition(":///")[2])) if address.startswith("sqlite") else None


def typed_address(uri: str) -> str:
    """Return an address that `resolve_uri` has returned as a person would type it."""
    return f"sqlite:///{file}" if (file := file_at(uri)) else uri


def check_writable(uri: str) -> None:
    """Raise UserError if no database can be written at this URI; a server is not asked."""
    if not (file := file_at(uri)):
        return
    folder = file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(advice(uri, error.strerror or str(error))) from error


def quiet_mlflow() -> None:
    """Set how MLflow behaves in this process, unless the user has set it; call this before importing MLflow."""
    for name, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(name, value)


def writer_environment() -> dict[str, str]:
    """Return the environment of the writer process."""
    home = Path(__file__).resolve().parent.parent
    import_from = [] if home.name in ("site-packages", "dist-packages") else [str(home)]
    defaults = {
        **MLFLOW_SETTINGS,
        "OMP_NUM_THREADS": "1",  # the cores are for the training
        "OPENBLAS_NUM_THREADS": "1",
    }
    fixed = {
        "MLFLOW_CONFIGURE_LOGGING": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_UV_AUTO_DETECT": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "PYTHONPATH": os.pathsep.join([*import_from, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    environment = {**defaults, **os.environ, **fixed}
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI"):
        environment.pop(name, None)  # they would override what the messages say
    return environment


def advice(uri: str, reason: str) -> str:
    """Return what to tell a user whose run could not be opened."""
    if uri.startswith("http"):
        do = "Is the server running? Check tracking.uri, or leave it out to record in outputs/mlflow.db."
        if re.search("40[13]|unauthori[sz]ed|not authenticated|permission", reason, re.I):
            do = f"Does it want a user name and a password? Set {USER} and {PASSWORD}, or MLFLOW_TRACKING_TOKEN."
    else:
        do = "Is it an MLflow database in a folder that can be written? Or type another tracking.uri."
    return f"the run cannot be recorded in {uri}: {without_credentials(reason)}. {do}"
