"""A user's net with its own files: a folder it starts from, and what it saves besides its weights."""

import re
import shutil
from pathlib import Path

import pytest
import torch

from runner.inference.predictor import Predictor

COMMAND = ["model=frozen_features", "data=iris", "optim.lr=0.03", "trainer.max_epochs=4",
           "tracking.system_metrics=false"]  # fmt: skip
FLOWER = {"sepal_length": 5.0, "sepal_width": 3.4, "petal_length": 1.4, "petal_width": 0.2}


@pytest.fixture
def nothing_else(system):
    """The folder the net began with is not there any more."""
    (system.folder / "pretrained").rename(system.folder / "gone")
    yield
    (system.folder / "gone").rename(system.folder / "pretrained")


def test_it_learns(system):
    assert system.outcome()[1]["test/accuracy"] > 0.8


def test_a_killed_run_ends_with_the_same_weights(system, tmp_path: Path, no_figures):
    assert system.killed_and_resumed(tmp_path, steps=11) == system.outcome()


def test_its_files_travel_with_the_model(system, nothing_else, tmp_path: Path):
    assert {path.name for path in (system.run / "model" / "files").iterdir()} == {"features.npy", "path"}
    moved = shutil.copytree(system.run / "model", tmp_path / "moved")
    with system.here():
        predictor = Predictor(moved, device="cpu")
        (here,) = predictor([FLOWER])
        predictor.task.net.load_files(moved / "files")
        assert predictor.task.net.projection.dtype == torch.float16
    assert here["label"] == "setosa"
    shown = system.runner("predict", "run=last", *(f"{name}={value}" for name, value in FLOWER.items()))
    assert f"probability_setosa: {here['probability_setosa']:.4f}" in shown


def test_what_it_has_saved_is_what_it_reads(system, tmp_path: Path):
    import numpy as np

    moved = shutil.copytree(system.run / "model", tmp_path / "moved")
    file = moved / "files" / "features.npy"
    np.save(file, np.zeros_like(np.load(file)))
    with system.here():
        (zeroed,), (ours,) = (Predictor(place, device="cpu")([FLOWER]) for place in (moved, system.run / "model"))
    assert zeroed["probability_setosa"] != ours["probability_setosa"]


def test_it_evaluates_to_the_same_numbers(system, nothing_else):
    assert "accuracy" in system.runner("evaluate", "run=last")


def test_it_is_exported_with_its_files(system, nothing_else):
    assert "checked with inputs of" in system.runner("export", "run=last", "format=torch_export")
    folder = Path(system.runner("export", "run=last", "format=safetensors").splitlines()[0])
    with system.here():
        (there,), (here,) = (Predictor(place, device="cpu")([FLOWER]) for place in (folder, system.run / "model"))
    assert there == here


def test_it_keeps_the_contracts(system):
    said = system.runner("doctor", "--config-dir", "conf", "model=frozen_features", "data=iris")
    assert re.search(r"All \d+ contracts are kept", said), said
