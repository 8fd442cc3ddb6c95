"""The launchers of Hydra's plugins: what to install for the one that a command names."""

import importlib.util
from collections.abc import Iterable

SWEEP = 'pip install "runner[sweep]"'
PLUGINS = {  # beginning of the choice: module, how it is installed
    "submitit": ("hydra_plugins.hydra_submitit_launcher", SWEEP),
    "slurm": ("hydra_plugins.hydra_submitit_launcher", SWEEP),
    "joblib": ("hydra_plugins.hydra_joblib_launcher", SWEEP),
    "ray": ("ray", 'pip install "runner[ray]"'),
}


def problem(overrides: Iterable[str]) -> str | None:
    """Return what is missing for the launcher that the command names; None if nothing is, or if it is unknown."""
    names = [text.split("=", 1)[1] for text in overrides if text.startswith("hydra/launcher=")]
    module, install = PLUGINS.get(names[-1].split("_")[0], (None, "")) if names else (None, "")
    if module is None or importlib.util.find_spec(module) is not None:
        return None
    return f"hydra/launcher={names[-1]} is not installed: {install}"
