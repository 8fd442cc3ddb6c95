"""Texts that are read while a net trains: every row once an epoch, and the same batches after a stop."""

import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import torch

from runner.build import build_data
from runner.config.compose import compose
from runner.config.inferred import settle
from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.streamed import BlockOrder
from runner.errors import UserError

ROWS = 137


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    lines = [f"row number {n},{('no', 'yes')[n % 2]}" for n in range(ROWS)]
    Path("films.csv").write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    Path("films").mkdir()
    shutil.copy("films.csv", "films/train.csv")
    return tmp_path


def streamed(kind: str, *overrides: str) -> DataModule:
    path = {"csv": "films.csv", "hub": "films"}[kind]
    typed = ["data.text=text", "data.label=label", "data.streaming=true", "data.block=20", "data.held_out=10"]
    cfg = compose(["model=textcnn", f"data={kind}", f"data.path={path}", *typed, "data.batch_size=8", *overrides])
    settle(cfg.data)
    data = build_data(cfg)
    data.setup()
    return data


def texts(data: DataModule, loader: Iterator) -> list[list[str]]:
    return [[data.decode(row) for row in batch.tokens.tolist()] for batch in loader]


def test_blocks_hold_every_row_once():
    for rows, block, batch_size in [(117, 20, 8), (117, 200, 8), (120, 20, 5), (3, 1, 2)]:
        order = BlockOrder(rows, block, batch_size, seed=3)
        batches = [order[number] for number in range(len(order))]
        assert sorted(torch.cat(batches).tolist()) == list(range(rows))
        assert all(len({int(row) // block for row in batch}) == 1 for batch in batches)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # datasets leaves files open
@pytest.mark.parametrize("kind", ["csv", "hub"])
def test_a_resumed_epoch_sees_the_same_batches(folder, kind):
    data = streamed(kind)
    assert data.sizes == {"train": ROWS - 20, "val": 10, "test": 10}
    loader = Loader(data.train, 8, shuffle=True, seed=1)
    loader.set_epoch(1)
    whole = texts(data, loader)
    assert len(whole) == len(loader)
    assert sorted(chain.from_iterable(whole)) == sorted(f"row number {n}" for n in range(20, ROWS))
    for stopped in (4, 7):  # at the beginning and in the middle of a block
        resumed = Loader(streamed(kind).train, 8, shuffle=True, seed=1)
        resumed.load_state_dict({"epoch": 1, "position": stopped})
        assert texts(data, resumed) == whole[stopped:]
    loader.set_epoch(2)
    assert texts(data, loader) != whole
    wanted = [("yes", "no")[(int(text.split()[-1]) + 1) % 2] for batch in whole for text in batch]
    loader.set_epoch(1)
    assert [data.class_names[number] for batch in loader for number in batch.target.tolist()] == wanted


def test_rows_beside_the_stream(folder):
    data = streamed("csv", "data.vocab_rows=30")
    assert [row["text"] for row in data.raw("val")] == [f"row number {n}" for n in range(10)]
    assert data.raw("test", 1) == [{"text": "row number 10"}] and data.raw("train", 1) == [{"text": "row number 20"}]
    assert set(data.inputs.vocabulary.tokens[2:]) == {"row", "number", *map(str, range(20, 50))}
    assert len(data.targets_of("train")) == ROWS - 20


def test_what_a_stream_cannot_do_is_refused(folder):
    for typed, said in {
        "data.bucket=true": "data.bucket does not go with data.streaming=true",
        "data.fold=1": "there are no folds",
        "data.held_out=80": "no rows are left for training",
    }.items():
        with pytest.raises(UserError, match=said):
            streamed("csv", typed)
