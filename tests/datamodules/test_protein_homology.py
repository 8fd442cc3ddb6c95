"""Blocks of proteins stay together."""

import io
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet

from runner.datamodules import protein_homology
from runner.files import sources


def test_protein_homology_keeps_blocks_together(monkeypatch, tmp_path):
    draw = np.random.default_rng(0)
    columns = {"EXAMPLE_ID": np.repeat(np.arange(20), 30), "BLOCK_ID": np.arange(600)}
    columns["target"] = (draw.random(600) < 0.2).astype(np.int64)
    columns |= {str(number): draw.standard_cauchy(600) for number in range(4, 78)}
    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), table)
    with zipfile.ZipFile(tmp_path / "deep.whl", "w") as packed:
        packed.writestr(protein_homology.MEMBER, table.getvalue())
    monkeypatch.setattr(sources, "archive", lambda *_: tmp_path / "deep.whl")
    data = protein_homology.ProteinHomology()
    data.setup()
    assert [len(part) for part in (data.train, data.val, data.test)] == [360, 120, 120]
    assert all(len(part) % 30 == 0 for part in (data.train, data.val, data.test))
    assert data.train.batch[0].abs().max() <= 5
