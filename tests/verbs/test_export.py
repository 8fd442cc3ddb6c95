"""The net of a run as a file."""

from pathlib import Path

import pytest
from recorded_runs import bundle, called

from runner.errors import UserError
from runner.verbs.export import Export


def test_a_run_is_exported_with_its_preprocessing(recorded, tmp_path: Path, capsys) -> None:
    assert called(recorded, Export(run="textcnn", format="torch_export", output=tmp_path / "net.pt2")) == 0
    assert "checked with inputs of 1 x 1, 2 x 3, 7 x 11, 32 x 60" in capsys.readouterr().out
    assert (tmp_path / "preprocessing.json").exists()
    called(recorded, Export(run="csv", format="safetensors"))
    written = bundle(recorded, "csv").parent / "export" / "model"
    names = ["config.yaml", "preprocessing.json", "weights.safetensors"]
    assert sorted(path.name for path in written.iterdir()) == names


def test_mistakes_are_explained(recorded, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"TfidfLinear is an estimator, not a net"):
        called(recorded, Export(run="tfidf", format="torch_export"))
    with pytest.raises(UserError, match=r"ends in \.pt2"):
        called(recorded, Export(run="iris", format="torch_export", output=tmp_path / "net.onnx"))
