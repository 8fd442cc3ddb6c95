"""`runner ui`: MLflow's page on the recorded runs."""

from dataclasses import dataclass

from runner.verbs.options import Port, Tracked


@dataclass(frozen=True, kw_only=True)
class Ui(Tracked):
    """Open MLflow's page on the recorded runs.

    Args:
        port: of the page.
        host: the address it listens on; 0.0.0.0 lets other machines in.
    """

    port: Port = 5000
    host: str = "127.0.0.1"

    def __call__(self) -> int:
        from runner.tracking.find import ui

        ui(self.tracking_uri, self.outputs, host=self.host, port=self.port)
