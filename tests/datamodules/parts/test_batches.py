"""Batches: which rows, in which order, padded how, and where a resumed run continues."""

import numpy as np
import pytest
import torch

from runner.datamodules.parts.batches import Features, Loader, Subset, TensorSplit, TextSplit
from runner.text.vocabulary import PAD

DRAW = torch.Generator()
ROWS = TensorSplit(Features(torch.arange(10), torch.arange(10) * 2))


def seen(loader: Loader) -> list[list[int]]:
    return [rows.tolist() for rows, _ in loader]


def rows_of(loader: Loader) -> list[int]:
    return [row for batch in seen(loader) for row in batch]


def text_split(rows: list[list[int]], max_len: int = 4) -> TextSplit:
    offsets = np.cumsum([0, *map(len, rows)])
    return TextSplit(np.concatenate(rows).astype(np.int32), offsets, torch.arange(len(rows)), max_len)


def test_without_shuffling_the_rows_come_as_they_are():
    assert seen(Loader(ROWS, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(Loader(ROWS, 4)) == 3 and len(Loader(ROWS, 5)) == 2 and len(Loader(ROWS, 99)) == 1


def test_inputs_and_targets_stay_together():
    for rows, targets in Loader(ROWS, 3, shuffle=True, seed=5):
        assert torch.equal(targets, 2 * rows)


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed: int, epoch: int) -> list[int]:
        loader = Loader(ROWS, 4, shuffle=True, seed=seed)
        loader.set_epoch(epoch)
        torch.rand(seed + epoch)  # the state of torch's own generator does not matter
        return rows_of(loader)

    assert order(1, 2) == order(1, 2)
    orders = {tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16
    assert all(sorted(one) == list(range(10)) for one in orders)


def test_drawing_an_order_leaves_the_random_numbers_of_the_run_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    seen(Loader(ROWS, 4, shuffle=True, seed=1))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_resumed_loader_goes_on_where_it_was(done):
    whole = Loader(ROWS, 4, shuffle=True, seed=1)
    whole.set_epoch(3)
    batches = seen(whole)
    stopped = Loader(ROWS, 4, shuffle=True, seed=1)
    stopped.set_epoch(3)
    for _, _ in zip(range(done), stopped, strict=False):
        pass
    later = Loader(ROWS, 4, shuffle=True, seed=1)
    later.load_state_dict({"epoch": 3, "position": done})
    later.set_epoch(3)  # Lightning says so again, which must not send it back
    assert seen(later) == batches[done:]
    later.set_epoch(4)
    assert len(seen(later)) == 3


def test_the_state_counts_the_batches_handed_out():
    loader = Loader(ROWS, 4, shuffle=True)
    batches = iter(loader)
    next(batches)
    next(batches)
    assert loader.state_dict() == {"epoch": 0, "position": 2}


def test_a_loader_can_be_gone_through_again():
    loader = Loader(ROWS, 4, shuffle=True, seed=1)
    assert seen(loader) == seen(loader)


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_the_processes_share_each_epoch(world_size):
    loaders = [Loader(ROWS, 2, shuffle=True, seed=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [seen(loader) for loader in loaders]
    assert len({len(share) for share in shares}) == 1, "each process makes equally many steps"
    assert len({tuple(map(len, share)) for share in shares}) == 1, "with equally many rows"
    assert all(len(share) == len(loaders[0]) for share in shares)
    rows = sorted(row for share in shares for batch in share for row in batch)
    assert set(rows) == set(range(10)) and len(rows) == 10 + -10 % world_size


def test_two_processes_see_the_global_batches_of_one():
    one = seen(Loader(ROWS, 4, shuffle=True, seed=1))
    shares = [seen(Loader(ROWS, 2, shuffle=True, seed=1, rank=rank, world_size=2)) for rank in range(2)]
    together = [sorted(first + second) for first, second in zip(*shares, strict=True)]
    assert together == [sorted(batch) for batch in one]


@pytest.mark.parametrize(("rows", "world_size"), [(10, 3), (5, 2), (2, 3), (1, 2)])
def test_evaluation_rows_are_counted_once(rows, world_size):
    split = TensorSplit(Features(torch.arange(rows), torch.zeros(rows)))
    shares = [seen(Loader(split, 2, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert sorted(row for share in shares for batch in share for row in batch) == list(range(rows))


def test_weights_decide_how_often_a_row_comes():
    weights = torch.ones(10)
    weights[3] = 0
    weights[7] = 9
    loader = Loader(ROWS, 5, shuffle=True, seed=0, weights=weights)
    drawn = []
    for epoch in range(200):
        loader.set_epoch(epoch)
        drawn += rows_of(loader)
    counts = np.bincount(drawn, minlength=10) / len(drawn)
    assert counts[3] == 0
    assert counts[7] == pytest.approx(9 / 17, abs=0.05)


def test_a_batch_has_at_least_one_row():
    with pytest.raises(ValueError, match="batch_size must be at least 1, received 0"):
        Loader(ROWS, 0)


def test_texts_are_padded_to_the_longest_of_their_batch():
    split = text_split([[5], [6, 7], [8, 9, 10]])
    tokens, targets = split.gather(torch.tensor([1, 0]), DRAW)
    assert tokens.tolist() == [[6, 7], [5, PAD]]
    assert tokens.dtype == torch.int64 and targets.tolist() == [1, 0]


def test_texts_are_cut_to_the_longest_length():
    tokens, _ = text_split([[1, 2, 3, 4, 5, 6], [9]]).gather(torch.tensor([0, 1]), DRAW)
    assert tokens.tolist() == [[1, 2, 3, 4], [9, PAD, PAD, PAD]]


def test_a_text_of_length_zero_is_one_padding():
    split = text_split([[], [4, 5]])
    assert split.gather(torch.tensor([0]), DRAW)[0].tolist() == [[PAD]]
    assert split.gather(torch.tensor([0, 1]), DRAW)[0].tolist() == [[PAD, PAD], [4, 5]]


def test_texts_may_lie_in_a_file(tmp_path):
    np.save(tmp_path / "tokens.npy", np.arange(1, 7, dtype=np.int32))
    tokens = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    split = TextSplit(tokens, np.array([0, 2, 6]), torch.tensor([0, 1]), max_len=3)
    assert split.gather(torch.tensor([0, 1]), DRAW)[0].tolist() == [[1, 2, PAD], [3, 4, 5]]


def test_a_subset_numbers_its_own_rows():
    subset = Subset(ROWS, torch.tensor([8, 2, 5]))
    assert len(subset) == 3
    assert [part.tolist() for part in subset.gather(torch.tensor([2, 0]), DRAW)] == [[5, 8], [10, 16]]
    assert [part.tolist() for part in Subset(subset, torch.tensor([1])).gather(torch.tensor([0]), DRAW)] == [[2], [4]]


def test_a_process_may_be_left_without_a_text():
    tokens, targets = text_split([[1, 2]]).gather(torch.tensor([], dtype=torch.int64), DRAW)
    assert len(tokens) == len(targets) == 0


# Rows of similar length together.

LENGTHS = [1 + (7 * row) % 13 for row in range(60)]


def bucketed(batch_size: int = 4, **arguments) -> Loader:
    split = text_split([[5] * length for length in LENGTHS], max_len=13)
    return Loader(Subset(split, torch.arange(60)), batch_size, shuffle=True, seed=1, bucket=True, **arguments)


def batch_rows(loader: Loader) -> list[list[int]]:
    return [targets.tolist() for _, targets in loader]


def test_lengths_are_those_of_the_rows():
    split = text_split([[1], [2, 3], [4, 5, 6, 7, 8, 9]])
    assert split.lengths().tolist() == [1, 2, 4]
    assert Subset(split, torch.tensor([2, 0])).lengths().tolist() == [4, 1]


def test_rows_of_similar_length_come_together():
    batches = batch_rows(bucketed())
    assert sorted(row for batch in batches for row in batch) == list(range(60))
    assert all(max(LENGTHS[row] for row in batch) - min(LENGTHS[row] for row in batch) <= 1 for batch in batches)
    padded = sum(tokens.numel() for tokens, _ in bucketed())
    plain = Loader(bucketed().split, 4, shuffle=True, seed=1)
    assert padded < 0.75 * sum(tokens.numel() for tokens, _ in plain)


def test_the_batches_come_in_another_order_in_every_epoch():
    loader = bucketed()
    first = batch_rows(loader)
    loader.set_epoch(1)
    second = batch_rows(loader)
    longest = [max(LENGTHS[row] for row in batch) for batch in first]
    assert longest != sorted(longest) and first != second
    assert {tuple(sorted(batch)) for batch in first} != {tuple(sorted(batch)) for batch in second}
    loader.set_epoch(0)
    assert batch_rows(loader) == first


@pytest.mark.parametrize("done", [1, 7])
def test_a_resumed_loader_with_buckets_goes_on_where_it_was(done):
    whole = batch_rows(bucketed())
    later = bucketed()
    later.load_state_dict({"epoch": 0, "position": done})
    assert batch_rows(later) == whole[done:]


def test_rows_that_fill_no_batch_come_last():
    sizes = [len(batch) for batch in batch_rows(bucketed(batch_size=7))]
    assert sizes == [7] * 8 + [4]


def test_two_processes_share_batches_of_similar_length():
    one = batch_rows(bucketed(batch_size=4))
    shares = [batch_rows(bucketed(batch_size=2, rank=rank, world_size=2)) for rank in range(2)]
    together = [sorted(first + second) for first, second in zip(*shares, strict=True)]
    assert together == [sorted(batch) for batch in one]


def test_evaluation_keeps_its_order():
    split = text_split([[5] * length for length in LENGTHS], max_len=13)
    assert [row for batch in batch_rows(Loader(split, 7, bucket=True)) for row in batch] == list(range(60))


# Short rows first.


@pytest.mark.parametrize("bucket", [False, True])
def test_in_the_first_epochs_rows_come_from_short_to_long(bucket):
    def loader(**arguments) -> Loader:
        split = text_split([[5] * length for length in LENGTHS], max_len=13)
        return Loader(split, 4, shuffle=True, seed=1, bucket=bucket, **arguments)

    sorted_first, usual = loader(short_first=2), loader()
    rows = []
    for epoch in range(2):
        sorted_first.set_epoch(epoch)
        rows.append([row for batch in batch_rows(sorted_first) for row in batch])
        lengths = [LENGTHS[row] for row in rows[-1]]
        assert lengths == sorted(LENGTHS)
    assert rows[0] != rows[1], "those of equal length in another order"
    for each in (sorted_first, usual):
        each.set_epoch(2)
    assert batch_rows(sorted_first) == batch_rows(usual)
    sorted_first.load_state_dict({"epoch": 1, "position": 7})
    assert [row for batch in batch_rows(sorted_first) for row in batch] == rows[1][28:]


# What is drawn for a batch, and batches that a split makes up itself.


class Drawing(TensorSplit):
    """Draws a number for every batch, like a split with negative examples."""

    def gather(self, index, draw):
        return Features(index, torch.randint(1 << 30, (1,), generator=draw))


def drawn(epoch: int = 0, done: int = 0, **arguments) -> list[int]:
    loader = Loader(Drawing(ROWS.batch), 2, shuffle=True, **arguments)
    loader.load_state_dict({"epoch": epoch, "position": done})
    return [batch.target.item() for batch in loader]


def test_what_is_drawn_for_a_batch_depends_on_seed_epoch_and_its_number_alone():
    batches = [number for seed in (1, 2) for epoch in (0, 1) for number in drawn(epoch, seed=seed)]
    assert len(set(batches)) == len(batches) == 2 * 2 * 5
    torch.rand(7)
    assert drawn(1, done=2, seed=1) == drawn(1, seed=1)[2:], "a resumed run draws the same again"
    shares = [drawn(seed=1, rank=rank, world_size=2) for rank in range(2)]
    assert not set(shares[0]) & set(shares[1])


class Lanes(TensorSplit):
    """Cuts its rows into as many lanes as a batch has rows, which are gone through side by side."""

    def order(self, batch_size, draw):
        return list(torch.arange(len(self) // batch_size * batch_size).view(batch_size, -1).T)


def test_a_split_may_make_up_its_batches_itself():
    loader = Loader(Lanes(ROWS.batch), 3, shuffle=True)
    assert seen(loader) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]] and len(loader) == 3
    loader.load_state_dict({"epoch": 0, "position": 2})
    assert seen(loader) == [[2, 5, 8]]
    shares = [seen(Loader(Lanes(ROWS.batch), 2, rank=rank, world_size=2)) for rank in range(2)]
    assert shares == [[[0, 4], [1, 5]], [[2, 6], [3, 7]]], "a lane stays with its process"


class Uneven(TensorSplit):
    """Batches of different sizes in a given order."""

    def order(self, batch_size, draw):
        batches = list(torch.arange(len(self)).split([1, 4, 5]))
        return batches if draw is None else [batches[place] for place in torch.randperm(3, generator=draw)]


def test_such_a_split_is_told_how_to_shuffle_and_when_not_to():
    assert seen(Loader(Uneven(ROWS.batch), 3)) == [[0], [1, 2, 3, 4], [5, 6, 7, 8, 9]]
    orders = set()
    for seed in range(8):
        loader = Loader(Uneven(ROWS.batch), 3, shuffle=True, seed=seed)
        assert seen(loader) == seen(loader)
        orders.add(str(seen(loader)))
    assert len(orders) > 2
