"""Radar returns, from the archive that holds them."""

import zipfile

import numpy as np
import pytest

from runner.datamodules import ionosphere
from runner.errors import UserError
from runner.files import sources


def test_ionosphere_from_the_archive_gets_its_constant_column_back(monkeypatch, tmp_path):
    draw = np.random.default_rng(0)
    rows = [", ".join(f"{value:.3f}" for value in draw.uniform(-1, 1, 33)) + f", {'gb'[n % 2]}" for n in range(40)]
    with zipfile.ZipFile(tmp_path / "keel.whl", "w") as packed:
        packed.writestr(ionosphere.MEMBER, "@relation x\n@data\n" + "\n".join(rows))
    monkeypatch.setattr(sources, "archive", lambda *_: tmp_path / "keel.whl")
    data = ionosphere.Ionosphere()
    data.setup()
    assert data.train.batch[0].shape[1] == 34 and not data.train.batch[0][:, 1].any()
    assert data.class_names == ["bad", "good"]
    for line, problem in (("1,2,g", "2 numbers"), ("1," * 34 + "x", "'x'"), ("a," * 34 + "g", "line 1")):
        with pytest.raises(UserError, match=problem):
            ionosphere.read_returns(line, "here")
