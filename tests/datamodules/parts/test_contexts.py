"""Words with their neighbours: which pairs there are, how often words are left out and drawn."""

from collections import Counter

import numpy as np
import pytest
import torch

from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.contexts import ContextSplit, kept_share, stretches
from runner.errors import UserError

DOCUMENTS = [[2, 3, 4, 5, 6, 7, 8, 9, 10], [11], [], [12, 13], list(range(14, 40))]


def split(documents=DOCUMENTS, **settings) -> ContextSplit:
    ends = np.cumsum([0, *map(len, documents)])
    tokens = np.array([word for words in documents for word in words], dtype=np.int32)
    counts = np.bincount(tokens, minlength=40)
    settings = {"window": 2, "dynamic": False, "sample": None, "noise": 4, "row_len": 5} | settings
    return ContextSplit(tokens, np.stack([ends[:-1], ends[1:]], axis=1), counts, **settings)


def pairs_of(batch) -> list[tuple[int, int]]:
    margin = (batch.words.size(1) - batch.neighbours.size(1)) // 2
    return [
        (int(batch.words[row, margin + place]), int(batch.words[row, other]))
        for row, place, other in batch.neighbours.nonzero().tolist()
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_pairs_are_all_words_at_most_so_far_apart_in_one_document(batch_size):
    found = Counter(pair for batch in Loader(split(), batch_size, shuffle=True) for pair in pairs_of(batch))
    wanted = Counter(
        (word, words[other])
        for words in DOCUMENTS
        for place, word in enumerate(words)
        for other in range(max(place - 2, 0), min(place + 3, len(words)))
        if other != place
    )
    assert found == wanted


def test_long_documents_are_cut():
    begin, length = stretches(np.array([[1, 26], [26, 26], [26, 36]]), longest=10)
    assert begin.tolist() == [1, 11, 21, 26] and length.tolist() == [10, 10, 5, 10]


def test_every_epoch_has_the_same_number_of_batches_and_every_word():
    many = split([[2] * size for size in np.random.default_rng(0).integers(1, 300, 200)])
    for batch_size in (1, 8, 64):
        loader = Loader(many, batch_size, shuffle=True)
        for epoch in range(3):
            loader.set_epoch(epoch)
            batches = many.order(batch_size, loader.draw(0))
            assert len(batches) == len(loader) and min(map(len, batches)) > 0
            assert torch.cat(list(batches)).sort().values.tolist() == list(range(len(many)))


def test_an_epoch_draws_again_and_a_resumed_one_the_same():
    text = split([list(range(2, 40))] * 30, dynamic=True, sample=0.01)
    loader, resumed = Loader(text, 8, shuffle=True), Loader(text, 8, shuffle=True)
    batches = list(loader)
    resumed.load_state_dict({"epoch": 0, "position": 2})
    for one, other in zip(batches[2:], resumed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    loader.set_epoch(1)
    assert not torch.equal(next(iter(loader)).negatives, batches[0].negatives)


def test_words_are_left_out_as_the_formula_says():
    """A word of frequency f stays with probability sqrt(t / f) + t / f, as in the authors' program."""
    counts, t = np.array([0, 60_000, 30_000, 9_000, 1_000]), 0.01
    frequency = counts[1:] / 100_000
    wanted = np.minimum((np.sqrt(frequency / t) + 1) * t / frequency, 1)
    np.testing.assert_allclose(kept_share(counts, t)[1:], wanted, rtol=1e-6)
    assert kept_share(counts, t)[0] == 0 and (kept_share(counts, None)[1:] == 1).all()
    words = np.random.default_rng(0).permutation(np.repeat(np.arange(5), counts))
    text = ContextSplit(words, np.array([[0, len(words)]]), counts, sample=t)
    kept, _ = text.read(np.arange(len(text)), torch.Generator().manual_seed(0))
    rate = np.bincount(kept, minlength=5)[1:] / counts[1:]
    assert (np.abs(rate - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / counts[1:]) + 1e-12).all()


def test_near_words_are_neighbours_more_often():
    text = split([[2] * 1000] * 20, dynamic=True, window=4)
    neighbours = torch.cat([batch.neighbours for batch in Loader(text, 1000)])
    apart = neighbours.nonzero()[:, 2] - neighbours.nonzero()[:, 1] - 4
    shares = np.array([(apart.abs() == distance).sum() for distance in (1, 2, 3, 4)]) / 40_000
    np.testing.assert_allclose(shares, [1, 0.75, 0.5, 0.25], atol=0.02)


def test_negatives_are_drawn_by_their_count_to_the_power_of_three_quarters():
    text = split([[2] * 80 + [3] * 15 + [4] * 5] * 50, noise=64)
    drawn = torch.cat([batch.negatives.flatten() for batch in Loader(text, 1000)])
    wanted = np.array([0, 0, 80, 15, 5]) ** 0.75
    np.testing.assert_allclose(np.bincount(drawn)[:5] / len(drawn), wanted / wanted.sum(), atol=0.01)


def test_words_that_are_not_counted_are_neither_seen_nor_drawn():
    words = np.array([1, 2, 3, 1, 4, 5] * 200)
    text = ContextSplit(words, np.array([[0, len(words)]]), np.array([0, 0, 200, 200, 200, 200]), sample=None)
    for batch in Loader(text, 8):
        assert {*batch.words.unique().tolist(), *batch.negatives.unique().tolist()} <= {0, 2, 3, 4, 5}
        assert 0 not in [word for pair in pairs_of(batch) for word in pair]


@pytest.mark.parametrize("wrong", [{"window": 0}, {"noise": -1}, {"row_len": 0}, {"sample": 0}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(UserError, match=rf"task\.contexts\.{next(iter(wrong))} must be .*received"):
        split(**wrong)
