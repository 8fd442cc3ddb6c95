"""Which of several processes of one run this is, and how the others get the same configuration.

The first process composes once. Lightning starts the others with the same command line; they find the file with the
resolved configuration in their environment and ignore the command line. Processes that torchrun or SLURM start
compose for themselves, and only the first one records and writes.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

FROZEN = "RUNNER_FROZEN_CONFIG"  # the resolved configuration of the run that a process belongs to
PROGRAM = "RUNNER_PROGRAM"  # the module of the command line, with which Lightning starts the other processes
LAUNCH = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", FROZEN)


def started_as(module: str) -> None:
    """Remember the module of the command line, also for the workers of a sweep, which run another module."""
    os.environ[PROGRAM] = module


def frozen_config() -> Path | None:
    """The configuration file a process has to start from, if it was started by the first process of a run."""
    return Path(os.environ[FROZEN]) if FROZEN in os.environ and os.environ.get("LOCAL_RANK", "0") != "0" else None


def rank() -> int:
    """Number of this process among those that torchrun or SLURM have started; 0 if none have."""
    for name in ("RANK", "SLURM_PROCID"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 0


def throwaway_folder() -> list[str]:
    """Overrides that keep all processes but the first from creating run folders."""
    return [f"hydra.run.dir='{tempfile.mkdtemp(prefix='runner-rank-')}'", "hydra.output_subdir=null"]


@contextmanager
def launching(config: Path) -> Iterator[None]:
    """Let the processes that Lightning starts find `config`; restore the environment afterwards."""
    before = {name: os.environ[name] for name in LAUNCH if name in os.environ}
    os.environ[FROZEN] = str(config)
    main = sys.modules["__main__"]
    spec = main.__spec__
    if PROGRAM in os.environ:
        main.__spec__ = find_spec(os.environ[PROGRAM])  # what Lightning starts
    try:
        yield
    finally:
        # torch is not imported for it: its import may have been interrupted.
        distributed = sys.modules.get("torch.distributed")
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
        main.__spec__ = spec
        for name in LAUNCH:
            os.environ.pop(name, None)
        os.environ.update(before)
