"""Two sentences in a row, and which of their words are hidden."""

import numpy as np
import pytest
import torch

from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.masked import MARK, MARK_END, MARK_START, MASKED_MARKS, MaskedSplit, hide
from runner.datamodules.parts.token_store import TokenStore
from runner.errors import UserError

FIRST, V = len(MASKED_MARKS), 100_000
SIZES = np.array([4, 1, 3, 2])  # sentences of each document
PER_SENTENCE = 6  # words


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def split(max_len: int = 64, **settings) -> MaskedSplit:
    """Sentence s has the words FIRST + 10 s, FIRST + 10 s + 1 ..."""
    total = int(SIZES.sum())
    words = FIRST + 10 * np.arange(total)[:, None] + np.arange(PER_SENTENCE)
    tokens = np.concatenate([[MARK_END], np.pad(words, ((0, 0), (0, 1)), constant_values=MARK_END).ravel()])
    starts = 1 + np.arange(total + 1) * (PER_SENTENCE + 1)
    return MaskedSplit(TokenStore(tokens, starts), np.arange(total), SIZES, FIRST + 10 * total, max_len, **settings)


def test_the_second_sentence_follows_or_is_of_another_document() -> None:
    rows = split(share=0.0)
    document = np.repeat(np.arange(len(SIZES)), SIZES)
    assert len(rows) == sum(SIZES - 1)
    batch = rows.gather(torch.arange(len(rows)).repeat(300), generator())
    whole = batch.tokens.scatter(1, batch.places, batch.target.where(batch.target != IGNORE, batch.tokens[:, :1]))
    one = (whole[:, 1] - FIRST) // 10
    other = (whole[:, PER_SENTENCE + 2] - FIRST) // 10
    follows = batch.elsewhere == 0
    assert (other[follows] == one[follows] + 1).all()
    assert (document[other] == document[one]).tolist() == follows.tolist()
    assert follows.float().mean().item() == pytest.approx(0.5, abs=0.05)
    drawn = torch.bincount(other[(one == 0) & ~follows], minlength=10)
    assert (drawn[:4] == 0).all() and (drawn[4:] > 0).all()  # any sentence of the others


def test_a_row_has_marks_and_segments() -> None:
    batch = split(share=0.0).gather(torch.tensor([0]), generator())
    assert batch.tokens.shape == (1, 2 * PER_SENTENCE + 3)
    marks = [0, PER_SENTENCE + 1, 2 * PER_SENTENCE + 2]
    assert batch.tokens[0, marks].tolist() == [MARK_START, MARK_END, MARK_END]
    assert batch.segments[0].tolist() == [0] * (PER_SENTENCE + 2) + [1] * (PER_SENTENCE + 1)
    short = split(max_len=9).gather(torch.arange(4), generator())
    assert short.tokens.shape == (4, 9) and (short.tokens[:, [4, 8]] == MARK_END).all()


def test_shares_of_what_is_hidden() -> None:
    tokens = torch.randint(FIRST, V, (400, 101), generator=generator())
    tokens[:, 0], tokens[:200, 80:] = MARK_START, 0
    batch = hide(tokens, torch.zeros_like(tokens), torch.zeros(400), V, generator(1))
    real = batch.target != IGNORE
    assert real.sum(dim=1).tolist() == [12] * 200 + [15] * 200  # 15 % of 79 and of 100 words
    assert (tokens.gather(1, batch.places)[real] == batch.target[real]).all()
    shown = batch.tokens.gather(1, batch.places)[real]
    assert (shown == MARK).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (shown == batch.target[real]).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert ((shown != MARK) & (shown < FIRST)).sum() == 0
    changed = (batch.tokens != tokens).sum(dim=1)
    assert (changed <= real.sum(dim=1)).all()  # nothing else has changed
    assert (tokens.gather(1, batch.places)[real] >= FIRST).all()  # no mark and no padding is hidden
    assert all(len(set(row[keep].tolist())) == keep.sum() for row, keep in zip(batch.places, real, strict=True))


def test_the_same_draws_give_the_same_rows_and_others_others() -> None:
    rows, index = split(), torch.arange(6)
    one, same, other = (rows.gather(index, generator(seed)) for seed in (3, 3, 4))
    assert all(torch.equal(*parts) for parts in zip(one, same, strict=True))
    assert not torch.equal(one.tokens, other.tokens)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"share": 1.5}, "task.masks.share is a share"),
        ({"hidden": 0.9, "changed": 0.2}, "more than 1 together"),
        ({"max_len": 4}, "three marks and two words make 5"),
    ],
)
def test_what_cannot_be_is_refused(settings, said) -> None:
    with pytest.raises(UserError, match=said):
        split(**settings)


def test_one_document_has_no_other() -> None:
    store = TokenStore(np.array([3, 5, 3, 6, 3]), np.array([1, 3, 5]))
    with pytest.raises(UserError, match="at least two documents in each split"):
        MaskedSplit(store, np.arange(2), np.array([2]), 10)
