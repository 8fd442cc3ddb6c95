"""Pairs: what a batch holds, that no source is on both sides of a split, batches by tokens, files."""

import numpy as np
import pytest
import torch

from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.pairs import IGNORE, PairSplit, TokenBatches
from runner.datamodules.reverse import Copy, Reverse
from runner.datamodules.sentence_pairs import EnglishChinese, PairFile
from runner.errors import UserError

START, END = 2, 3


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))


def made(cls=Reverse, **settings):
    data = cls(**{"rows": 300, "longest": 4, "letters": 5} | settings)
    data.setup()
    return data


def test_the_target_is_the_source_backwards_moved_by_one_token() -> None:
    data = made()
    src, tgt_in, tgt_out = next(iter(data.train_dataloader()))
    for row in range(len(src)):
        letters = data.inputs.parts["source"].decode(src[row].tolist())
        assert tgt_in[row, 0] == START
        assert data.decode(tgt_in[row, 1:].tolist()) == letters[::-1]
        real = tgt_out[row][tgt_out[row] != IGNORE]
        assert real[-1] == END
        assert data.decode(real.tolist()) == letters[::-1]
        assert (tgt_in[row] != 0).sum() == len(real)
    assert all(row["source"] == row["target"] for row in made(Copy).raw("train"))


def test_a_row_of_letters_is_kept_once() -> None:
    data = made(longest=2)  # only 30 different rows
    sources = [row["source"] for split in ("train", "val", "test") for row in data.raw(split)]
    assert len(sources) == len(set(sources)) <= 30


def test_no_source_is_in_two_splits(tmp_path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("".join(f"{number % 30}\t{number}\n" for number in range(300)), encoding="utf-8")
    data = PairFile(path=str(file))
    data.setup()
    sources = [{row["source"] for row in data.raw(split)} for split in ("train", "val", "test")]
    assert all(sources)
    assert not sources[0] & sources[1] and not sources[0] & sources[2] and not sources[1] & sources[2]


def test_vocabularies_are_those_of_the_training_split(tmp_path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("".join(f"word{number}\tWort{number}\tby somebody\n" for number in range(20)), encoding="utf-8")
    data = PairFile(path=str(file))
    data.setup()
    known = data.inputs.parts["source"].vocabulary.tokens[2:]
    assert sorted(known) == sorted(row["source"] for row in data.raw("train"))
    assert data.inputs.parts["target"].vocabulary.specials == ("<pad>", "<unk>", "<start>", "<end>")


def test_pieces_of_words_have_marks_too(tmp_path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("".join(f"word{number}\tdas Wort{number}\n" for number in range(50)), encoding="utf-8")
    data = PairFile(path=str(file), tgt_level="bpe", tgt_vocab_size=40)
    data.setup()
    (row,) = data.raw("val", 1)
    _, target = data.encode([row])
    assert (target[0, 0], target[0, -1]) == (START, END)
    assert data.decode(target[0].tolist()) == row["target"].lower()
    assert target.max() < 40


@pytest.mark.parametrize(
    ("text", "said"), [("a b c\n", "line 1: expected source, tab, target"), ("a\tb\nc\t \n", "line 2")]
)
def test_a_line_that_is_not_a_pair_is_named(tmp_path, text, said) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        PairFile(path=str(file)).setup()


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"cmn\.txt does not exist"):
        EnglishChinese(path=str(tmp_path / "cmn.txt")).setup()


def split_of(lengths: list[int]) -> PairSplit:
    offsets = np.cumsum([0, *lengths])
    side = (np.ones(offsets[-1], dtype=np.int32), offsets)
    return PairSplit((side, side), (100, 100))


def test_batches_by_tokens_hold_as_many_rows_as_fit() -> None:
    lengths = torch.randint(1, 20, (200,)).tolist()
    batches = TokenBatches(split_of(lengths), torch.arange(200), batch_tokens=100)
    epochs = []
    for epoch in range(2):
        order = batches.order(0, torch.Generator().manual_seed(epoch))
        assert sorted(torch.cat(order).tolist()) == list(range(200))
        for rows in order:
            longest = max(2 * lengths[row] for row in rows.tolist())
            assert len(rows) == 1 or longest * len(rows) <= 100
        epochs.append(order)
    assert len(epochs[0]) == len(epochs[1])
    assert [rows.tolist() for rows in epochs[0]] != [rows.tolist() for rows in epochs[1]]


def test_a_row_longer_than_a_batch_is_one_of_its_own() -> None:
    order = TokenBatches(split_of([1, 60, 1]), torch.arange(3), batch_tokens=10).order(0, None)
    assert [rows.tolist() for rows in order] == [[0, 2], [1]]


def test_each_process_gets_a_row_of_every_training_batch() -> None:
    split = TokenBatches(split_of([1, 60, 1]), torch.arange(3), batch_tokens=10)
    shares = [[len(rows) for rows in Loader(split, 8, True, rank=rank, world_size=2).batches()] for rank in range(2)]
    assert sorted(map(sum, zip(*shares, strict=True))) == [2, 2]  # the long row is read twice
    assert all(size == 1 for share in shares for size in share)


def test_the_loader_takes_them() -> None:
    data = made(batch_tokens=64)
    seen = sum(len(batch.src) for batch in Loader(data.train, 32, shuffle=True))
    assert seen == len(data.train)
