"""Lightning as this program needs it: quiet, and with the profiler that `trainer.profiler` names."""

import logging
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pytorch_lightning.profilers import AdvancedProfiler, PassThroughProfiler, Profiler, PyTorchProfiler, SimpleProfiler

from runner.config.instances import instance
from runner.errors import UserError, closest

NOISE = (
    ".*LeafSpec.*deprecated.*",  # inside Lightning
    ".*smaller than the logging interval.*",  # the curve has a point at the end of each epoch anyway
    ".*GPU available but not used.*",
    ".*`srun` command is available.*",
    ".*You requested to overfit.*",  # our loader keeps the order itself, see DataModule.train_dataloader
    ".*Total length of `list` across ranks is zero.*",  # data without validation
    ".*the hooks will not be called on every batch.*",  # gradients are accumulated as without our own hooks
    ".*WeightAveraging.*overrides the configure_model.*",  # only trainer=sharded shares out the net there
    ".*sync_dist=True.*",  # the means are summed over the processes before they are logged
)
PROFILERS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}
NOTHING = nullcontext()
# Flags of every trainer of this program, and of one that trains a copy for a few steps.
PLAIN: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
ON_TRIAL = PLAIN | {"devices": 1, "logger": False, "limit_val_batches": 0}


def silence() -> None:
    """Silence Lightning's advertisements and the warnings that do not concern the user of this program."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in NOISE:
        warnings.filterwarnings("ignore", message=text)


class NoProfiler(PassThroughProfiler):
    """Measures nothing and costs nothing; Lightning's own default builds about thirty context managers a step."""

    def profile(self, action_name: str) -> Any:  # Lightning promises a generator
        return NOTHING


def profiler(wanted: str | dict | None, folder: Path) -> Profiler:
    """Return the profiler that the trainer's settings ask for; its report goes to `fit-profile.txt` in the run folder.

    Args:
        wanted: simple, advanced or pytorch; a node with `_target_`; None = measure nothing.
        folder: the run folder.
    """
    if wanted is None:
        return NoProfiler()
    if isinstance(wanted, dict):
        return instance({"dirpath": str(folder), "filename": "profile"} | wanted, "trainer.profiler")
    if wanted not in PROFILERS:
        allowed = ", ".join(PROFILERS)
        raise UserError(f"trainer.profiler is {allowed} or null, received {wanted!r}.{closest(wanted, PROFILERS)}")
    return PROFILERS[wanted](dirpath=str(folder), filename="profile")
