"""The private parts of Hydra that the checker needs: the only file that imports `hydra._internal`.

The public `hydra.compose` stops at the first mistake and reads Hydra's own files each time. The checker leaves out what
is rejected and checks the rest, so it composes the choices first and sets the values one by one.
"""

import importlib.util
from pathlib import Path

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import create_defaults_list
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

TRIED = ("1.3.8",)  # versions of Hydra that this file was tested with
ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, OSError)  # that composing may raise
BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"  # one job after another, in this process
HYDRAS_OWN = ("hydra", "schema")  # providers of Hydra's own files


def search_folders(main: Path) -> list[Path]:
    """Return the folder of the packaged choices and those that installed packages contribute, in Hydra's order."""
    entries = create_config_search_path(str(main)).get_path()
    return [path for entry in entries if entry.provider not in HYDRAS_OWN and (path := folder_of(entry.path))]


def folder_of(path: str | None) -> Path | None:
    """Return the folder of an entry of Hydra's search path (`file://...` or `pkg://...`), or None if it has none."""
    scheme, _, rest = (path or "").rpartition("://")
    if scheme == "pkg" and rest:
        package, *inner = rest.replace("/", ".").split(".")
        spec = importlib.util.find_spec(package)
        locations = (spec and spec.submodule_search_locations) or []
        return next((Path(location, *inner) for location in locations), None)
    return Path(rest) if scheme in ("", "file") and rest else None


class Composer:
    """Composes `config.yaml` as Hydra would for a command line, but separates choices from values.

    Args:
        main: the folder with config.yaml.
        config_dir: the folder of the user's own choices (`--config-dir`); None = none.
        overrides: what is typed; `hydra.searchpath=` adds folders.
    """

    def __init__(self, main: Path, config_dir: str | None, overrides: list[str]):
        setup_globals()
        search_path = create_config_search_path(str(main))
        if config_dir is not None:  # where Hydra puts it
            anchor = SearchPathQuery(provider="schema")
            search_path.prepend("command-line", f"file://{Path(config_dir).absolute()}", anchor)
        self._loader = ConfigLoaderImpl(search_path)
        self._parser = OverridesParser.create(config_loader=self._loader)
        searched = [text for text in overrides if text.startswith("hydra.searchpath=")]
        _, self._repo = self._loader._parse_overrides_and_create_caching_repo("config", searched)
        self._sources = [source for source in self._repo.get_sources() if source.provider not in HYDRAS_OWN]
        folders = (folder_of(f"{source.scheme()}://{source.path}") for source in self._sources)
        self.folders = [folder for folder in folders if folder is not None]

    def parse(self, text: str) -> Override:
        return self._parser.parse_overrides([text])[0]

    def is_choice(self, override: Override) -> bool:
        """Return whether an override picks from a group, as Hydra sees it."""
        return self._repo.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def exists(self, group: str, name: str) -> bool:
        return self._repo.config_exists(f"{group}/{name}")

    def options(self, group: str) -> list[str]:
        """Return the choices of a group, those of Hydra and its plugins included."""
        return self._repo.get_group_options(group)

    def compose(self, picked: tuple[Override, ...]) -> tuple[DictConfig, dict[str, str | None]]:
        """Return (config, {group: choice}) for these choices, without Hydra's own files, which take the longest."""
        defaults = create_defaults_list(self._repo, "config", list(picked), prepend_hydra=True, skip_missing=False)
        files = [file for file in defaults.defaults if not self._is_of_hydra(str(file.config_path))]
        return self._loader._compose_config_from_defaults_list(files, self._repo), defaults.overrides.known_choices

    def _is_of_hydra(self, path: str) -> bool:
        """Return whether a file of the groups hydra/... comes with Hydra or a plugin, not from a folder of choices."""
        return path.startswith("hydra/") and not any(source.is_config(path) for source in self._sources)


def set_values(cfg: DictConfig, overrides: list[Override]) -> None:
    """Set the values of overrides in a composed config, as Hydra does after composing."""
    ConfigLoaderImpl._apply_overrides_to_config(overrides, cfg)
