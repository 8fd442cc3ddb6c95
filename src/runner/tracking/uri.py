"""Where runs are recorded: the tracking URI, the folder of the artifacts, the environment of MLflow."""

import os
import re
import tempfile
from pathlib import Path

from runner.errors import UserError

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the writer repeats calls itself
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def resolve_uri(uri: str | None, outputs: Path) -> tuple[str, str]:
    """Return the absolute tracking URI and the URI of the folder for artifacts ("": the server chooses)."""
    outputs = Path(outputs).absolute()
    if not uri:
        uri = f"sqlite:///{outputs / DATABASE}"
    scheme = uri.partition(":")[0].partition("+")[0]
    if uri.startswith("sqlite:///") and uri.removeprefix("sqlite:///") not in ("", ":memory:"):
        file = Path(uri.removeprefix("sqlite:///")).absolute()
        return f"sqlite:///{file}", (file.parent / ARTIFACTS).as_uri()
    if "://" in uri and scheme in ("http", "https"):
        return uri.rstrip("/"), ""
    if "://" in uri and scheme in ("postgresql", "mysql", "mssql"):
        return uri, (outputs / ARTIFACTS).as_uri()
    raise UserError(
        f'tracking.uri="{uri}" is not a place MLflow can write to. Allowed: null (outputs/{DATABASE}), '
        "sqlite:///FILE, http://HOST:PORT, postgresql://..., mysql://... "
        f"For a database in a file type tracking.uri=sqlite:///{uri if uri.endswith('.db') else DATABASE}"
    )


def check_writable(uri: str) -> None:
    """Raise UserError if no database can be written at this URI; a server is not asked."""
    if not uri.startswith("sqlite:///"):
        return
    folder = Path(uri.removeprefix("sqlite:///")).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(advice(uri, error.strerror or str(error))) from error


def hide_password(uri: str) -> str:
    """Return the URI without the password it may contain."""
    return re.sub(r"(://[^/@:]+):[^@/]*@", r"\1:***@", uri)


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
    else:
        do = "Is it an MLflow database in a folder that can be written? Or type another tracking.uri."
    return f"the run cannot be recorded in {hide_password(uri)}: {reason}. {do}"
