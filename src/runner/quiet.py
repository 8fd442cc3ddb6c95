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


def silence() -> None:
    """Leave out Lightning's advertisements and the warnings that do not concern a user of this program."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    for text in ("isinstance(treespec, LeafSpec)", "Checkpoint directory", "The `srun` command is available"):
        warnings.filterwarnings("ignore", message=f".*{text.replace('(', '.').replace(')', '.')}.*")
