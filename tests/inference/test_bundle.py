"""A trained model in a folder: files of the net's own travel with it, and settings for one use."""

import sys
from pathlib import Path

import pytest
import torch

from runner.build import build_data, build_task
from runner.config.compose import compose
from runner.errors import UserError
from runner.inference.bundle import load_bundle, save_bundle

NET = """
from pathlib import Path
import torch
from torch import nn

ModelFolder = str  # a folder that travels with the model


class FolderNet(nn.Module):
    def __init__(self, path: ModelFolder, num_outputs: int, in_features: int):
        super().__init__()
        self.scale = float(Path(path, "scale.txt").read_text())
        self.output = nn.Linear(in_features, num_outputs)
        self.note = "fresh"

    def forward(self, features):
        return self.scale * self.output(features)

    def save_files(self, folder):
        Path(folder, "note.txt").write_text("kept")

    def load_files(self, folder):
        self.note = Path(folder, "note.txt").read_text()
"""
YAML = """
_target_: folder_net.FolderNet
path: ???
num_outputs: ${task.num_outputs}
in_features: ${data.in_features}
"""


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "folder_net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "folder_net.yaml").write_text(YAML, encoding="utf-8")
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "pretrained" / "scale.txt").write_text("3.0", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "folder_net", raising=False)
    cfg = compose(["model=folder_net", "data=iris", "model.path=pretrained"], [tmp_path / "conf"])
    data = build_data(cfg)
    data.setup()
    torch.manual_seed(0)
    task = build_task(cfg)
    task.connect(data)
    return save_bundle(tmp_path / "run", cfg, task, data)


def test_a_folder_of_the_net_travels_with_the_model(bundle: Path):
    (bundle.parents[1] / "pretrained" / "scale.txt").unlink()
    moved = bundle.parent.rename(bundle.parents[1] / "elsewhere") / "model"
    task, _, _ = load_bundle(moved)
    assert (task.net.scale, task.net.note) == (3.0, "kept")


def test_a_folder_outside_the_model_is_refused(bundle: Path):
    text = (bundle / "config.yaml").read_text(encoding="utf-8")
    assert "files/path" in text
    for outside in ("../../pretrained", str(bundle.parents[1] / "pretrained")):
        (bundle / "config.yaml").write_text(text.replace("files/path", outside), encoding="utf-8")
        with pytest.raises(UserError, match="is outside the model"):
            load_bundle(bundle)


def test_only_settings_for_use_can_be_set(bundle: Path):
    with pytest.raises(
        UserError, match=r"task.label_smoothing= cannot be changed .* lets you change: task\.softmax_temperature"
    ):
        load_bundle(bundle, {"label_smoothing": "0.1"})
