"""What keeps Lightning quiet and quick."""

import logging
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pytorch_lightning.profilers import Profiler

NOTHING = nullcontext()


class NoProfiler(Profiler):
    """Measures nothing and costs nothing; Lightning's own default builds a context manager some thirty times a step."""

    def start(self, action_name: str) -> None:
        """Nothing to start."""

    def stop(self, action_name: str) -> None:
        """Nothing to stop."""

    def profile(self, action_name: str) -> AbstractContextManager[Any]:
        return NOTHING


NOISE = (
    ".*LeafSpec.*deprecated.*",  # inside Lightning
    ".*smaller than the logging interval.*",  # the curve gets a point at the end of each epoch anyway
    ".*GPU available but not used.*",
    ".*`srun` command is available.*",
)


def silence() -> None:
    """Leave out Lightning's advertisements and the warnings that do not concern a user of this program."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in NOISE:
        warnings.filterwarnings("ignore", message=text)
