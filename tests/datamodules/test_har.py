"""Windows of activity, from an old pickle that is read without running it."""

import gzip
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from runner.datamodules import har
from runner.errors import UserError
from runner.files import sources


class BlockManager:
    """Stands in for a class of an old pandas; the name of its module is replaced in the bytes below."""

    def __init__(self, blocks: list[np.ndarray]):
        self.blocks = blocks

    def __getstate__(self) -> tuple:
        return [], self.blocks, [], {}


class DataFrame:
    def __init__(self, blocks: list[np.ndarray]):
        self._data = BlockManager(blocks)


def old_pandas(people: dict[int, np.ndarray]) -> bytes:
    """A pickle as an old pandas wrote it: {person: [table]}, a table of blocks (6 signals) and (sequence, label)."""
    tables = {}
    for person, labels in people.items():
        signals = np.random.default_rng(person).normal(size=(6, len(labels)))
        tables[person] = [DataFrame([signals, np.stack([np.arange(len(labels)), labels])])]
    data = pickle.dumps(tables, protocol=2)
    ours = b"c" + __name__.encode() + b"\n"
    data = data.replace(ours + b"DataFrame\n", b"cpandas.core.frame\nDataFrame\n")
    data = data.replace(ours + b"BlockManager\n", b"cpandas.core.internals.managers\nBlockManager\n")
    return data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_windows_never_cross_activities():
    labels = np.repeat([-1, 1, 5, 7, 6], [50, 200, 320, 300, 127])
    windows = list(har.cut(np.arange(len(labels))[:, None], labels))
    starts = [(int(values[0, 0]), activity) for values, activity in windows]
    assert starts == [(50, 1), (114, 1), (250, 5), (314, 5), (378, 5), (442, 5)]
    assert all(len(values) == 128 for values, _ in windows)


def test_body_acceleration_has_no_gravity():
    seconds = np.arange(1000)[:, None] / 50
    signals = np.concatenate([9.8 + np.sin(2 * np.pi * 3 * seconds)] * 3 + [np.zeros_like(seconds)] * 3, axis=1)
    found = har.channels(signals)
    assert found.shape == (1000, 9)
    np.testing.assert_allclose(found[200:800, 3:6], signals[200:800, :3] - 9.8, atol=0.02)


def test_har_from_the_archive(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    labels = np.repeat(np.arange(1, 7), 200)
    packed = gzip.compress(old_pandas(dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 11), labels)))
    with tarfile.open(tmp_path / "har.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(har.MEMBER)
        member.size = len(packed)
        archive.addfile(member, io.BytesIO(packed))
    monkeypatch.setattr(sources, "archive", lambda *_: tmp_path / "har.tar.gz")
    data = har.HAR()
    data.setup()
    assert len(data.test) == 2 * 12 and len(data.val) == 12 and len(data.train) == 6 * 12
    x, _ = data.train.gather(torch.arange(72), torch.Generator())
    torch.testing.assert_close(x.mean((0, 1)), torch.zeros(9), atol=1e-4, rtol=0)


def test_har_reads_nothing_but_arrays():
    with pytest.raises(UserError, match=r"os\.system"):
        har.unpickled(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match="does not belong there"):
        har.unpickled(pickle.dumps(Path("x"), protocol=2))


def test_har_says_which_file_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"y_train\.txt does not exist"):
        har.HAR(path=str(tmp_path)).setup()
