"""The configuration of a run, composed without a command line: for verbs, contracts, tests and benchmarks."""

from collections.abc import Iterable
from pathlib import Path

import hydra
from omegaconf import DictConfig

from runner.config.catalog import config_path
from runner.config.inferred import register_resolvers


def compose(overrides: Iterable[str], folders: Iterable[str | Path] = ()) -> DictConfig:
    """Return what `runner OVERRIDES` would train, as Hydra composes it; interpolations are not resolved.

    Args:
        overrides: what one would type, for example ["model=textcnn"].
        folders: folders of the user with more choices, as `--config-dir`.
    """
    register_resolvers()
    search = ",".join(f"'file://{Path(folder).resolve()}'" for folder in folders)
    added = [f"hydra.searchpath=[{search}]"] if search else []
    with hydra.initialize_config_dir(str(config_path()), version_base="1.3"):
        return hydra.compose("config", overrides=[*overrides, *added])
