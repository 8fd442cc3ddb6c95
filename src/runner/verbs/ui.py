"""`runner ui`: MLflow's page on the recorded runs."""

import os
import sys
from dataclasses import dataclass
from typing import NoReturn

from runner.errors import UserError
from runner.verbs.options import Port, Tracked, check_address


@dataclass(kw_only=True)
class Ui(Tracked):
    """Open MLflow's page on the recorded runs.

    Args:
        port: of the page.
        host: the address it listens on; 0.0.0.0 lets other machines in.
    """

    port: Port = 5000
    host: str = "127.0.0.1"

    def __call__(self) -> NoReturn:
        """Replace this process by MLflow's server for the database of the runs, which is created if there is none."""
        from runner.tracking.artifacts import client
        from runner.tracking.database import prepare_database
        from runner.tracking.uri import file_at, quiet_mlflow, resolve_uri, typed_address, with_credentials
        from runner.tracking.view import set_views

        uri, artifact_root = resolve_uri(self.tracking_uri, self.outputs)
        if uri.startswith("http"):
            raise UserError(f"the runs are on a server that already has a page: open {uri} in a browser")
        check_address(self.host, self.port)
        quiet_mlflow()
        if file := file_at(uri):
            prepare_database(file, artifact_root)
        page = set_views(client(uri, self.outputs))
        print(f"MLflow on {typed_address(uri)}  (Ctrl-C ends it)", flush=True)
        print(f"open http://{self.host}:{self.port}/{page or ''}", flush=True)
        os.environ["MLFLOW_BACKEND_STORE_URI"] = with_credentials(uri)  # not an argument, which `ps` would show
        options = ["--default-artifact-root", artifact_root]
        options += ["--host", self.host, "--port", str(self.port), "--workers", "1"]
        os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *options])
