"""Hydra's private parts: in one file, of the versions it was tested with, equal to the public `compose`."""

from importlib.metadata import version
from pathlib import Path

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from runner.config import hydra_internals
from runner.config.catalog import config_path
from runner.config.compose import compose
from runner.config.hydra_internals import BASIC_LAUNCHER, Composer, folder_of, set_values

SOURCE = Path(__file__).parents[2] / "src"


def test_the_installed_version_has_been_tried():
    found = version("hydra-core")
    assert found in hydra_internals.TRIED, f"Hydra {found}: if the tests of this file pass, add it to TRIED"


def test_only_one_file_uses_private_parts():
    users = [path.name for path in SOURCE.rglob("*.py") if "hydra._internal" in path.read_text(encoding="utf-8")]
    assert users == ["hydra_internals.py"]


def test_the_launcher_named_by_a_string_exists():
    assert get_class(BASIC_LAUNCHER).__name__ == "BasicLauncher"


@pytest.mark.parametrize(
    "command", ["", "model=mlp optim.lr=0.5", "experiment=ch08_stock seed=3", "data=csv +note=a ~callbacks.checkpoint"]
)
def test_choices_and_values_give_what_hydra_composes(command):
    composer = Composer(config_path(), None, command.split())
    overrides = [composer.parse(text) for text in command.split()]
    choices = [override for override in overrides if composer.is_choice(override)]
    cfg, names = composer.compose(tuple(choices))
    cfg.pop("hydra")
    OmegaConf.set_struct(cfg, True)
    set_values(cfg, [override for override in overrides if override not in choices])
    assert OmegaConf.to_container(cfg) == OmegaConf.to_container(compose(command.split()))
    assert names["task"] and composer.exists("task", names["task"])


def test_folders_of_a_search_path(tmp_path):
    assert folder_of(f"file://{tmp_path}") == folder_of(str(tmp_path)) == tmp_path
    assert folder_of("pkg://runner.models").name == "models"
    assert folder_of("pkg://no_such_package.conf") is folder_of(None) is folder_of("structured://") is None
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("a: 1\n")
    assert Composer(config_path(), str(tmp_path), []).exists("model", "mine")
    assert Composer(config_path(), None, [f"hydra.searchpath=[file://{tmp_path}]"]).folders[-1] == tmp_path
