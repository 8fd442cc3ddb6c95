"""Windows that never cross a document, and lanes in which each row continues that of the batch before."""

import numpy as np
import pytest
import torch

from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.token_store import IGNORE, LaneSplit, TokenStore, WindowSplit, one_document
from runner.text.vocabulary import PAD

DRAW = torch.Generator()
STORE = TokenStore(np.array([2, 11, 12, 2, 21, 22, 23, 24, 2, 31, 2], dtype=np.int32), np.array([1, 4, 9, 11]))


def long_store(documents: int = 7) -> TokenStore:
    """Documents of 5, 8, 11 ... tokens that are numbered in the order of the text."""
    sizes = 5 + 3 * np.arange(documents)
    return TokenStore(np.arange(2, 3 + sizes.sum(), dtype=np.int32), np.concatenate([[1], 1 + sizes.cumsum()]))


def test_documents_by_number():
    assert [document.tolist() for document in STORE.documents([2, 0])] == [[31, 2], [11, 12, 2]]
    assert STORE.lengths().tolist() == [3, 5, 2]


def test_a_window_stays_in_its_document_and_predicts_all_of_it():
    split = WindowSplit(STORE, 3)
    assert len(split) == 4
    tokens, target = split.gather(torch.arange(4), DRAW)
    assert tokens.tolist() == [[2, 11, 12], [2, 21, 22], [23, 24, PAD], [2, 31, PAD]]
    assert target.tolist() == [[11, 12, 2], [21, 22, 23], [24, 2, IGNORE], [31, 2, IGNORE]]
    assert tokens.dtype == target.dtype == torch.int64
    assert split.lengths().tolist() == [3, 3, 2, 2]
    assert WindowSplit(STORE, 3, np.array([2])).gather(torch.tensor([0]), DRAW)[0].tolist() == [[2, 31]]


@pytest.mark.parametrize(("tokens", "windows"), [(0, 0), (1, 0), (2, 1), (4, 1), (5, 2), (7, 2)])
def test_one_text_is_predicted_from_its_second_token_on(tokens, windows):
    split = WindowSplit(one_document(np.arange(2, 2 + tokens)), 3)
    assert len(split) == windows
    assert sum(int((split.gather(torch.tensor([k]), DRAW)[1] != IGNORE).sum()) for k in range(windows)) == max(
        tokens - 1, 0
    )


def test_contexts_of_a_document_begin_with_the_token_before_it():
    split = WindowSplit(STORE, 3, np.array([1, 2]))
    parts = list(split.contexts(3, size=4))
    assert [len(following) for _, following in parts] == [4, 3]
    contexts, following = (np.concatenate(part).tolist() for part in zip(*parts, strict=True))
    assert following == [21, 22, 23, 24, 2, 31, 2]
    assert contexts == [[2, 2], [2, 21], [21, 22], [22, 23], [23, 24], [2, 2], [2, 31]]
    assert next(split.contexts(1))[0].shape == (7, 0)


def test_documents_without_tokens_have_no_windows():
    split = WindowSplit(TokenStore(np.arange(2, 7), np.array([1, 1, 3, 3, 5])), 4)
    assert [part.tolist() for part in split.gather(torch.arange(len(split)), DRAW)] == [
        [[2, 3], [4, 5]],
        [[3, 4], [5, 6]],
    ]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_each_row_continues_that_of_the_batch_before(shuffle, batch_size):
    store = long_store()
    loader = Loader(LaneSplit(store, 3), batch_size, shuffle=shuffle, seed=3)
    seen, last = [], torch.zeros(batch_size, dtype=torch.int64)
    batches = list(loader)
    assert len(batches) == len(loader)
    for tokens, continues, target in batches:
        expected = last[: len(tokens)]
        assert torch.equal(tokens[continues, 0], expected[continues]), "the window begins where the last one ended"
        assert all(int(token) + 1 in store.starts + 2 or batch_size > 1 for token in tokens[~continues, 0])
        last = target.amax(dim=1)
        seen += target[target != IGNORE].tolist()
    assert sorted(seen) == list(range(3, 3 + len(store.tokens) - 1)), "every token is predicted once an epoch"
    first = [batch.continues.any().item() for batch in batches[:1]]
    assert not any(first), "nothing is carried into an epoch"


def test_lanes_are_another_permutation_of_the_documents_in_each_epoch():
    loader = Loader(LaneSplit(long_store(), 3), 2, shuffle=True)
    epochs = []
    for epoch in range(2):
        loader.set_epoch(epoch)
        epochs.append([batch.tokens[0, 0].item() for batch in loader])
    assert epochs[0] != epochs[1] and len(epochs[0]) == len(epochs[1])


def test_lanes_of_several_processes_are_those_of_one():
    split = LaneSplit(long_store(), 3)
    alone = list(Loader(split, 4, shuffle=True))
    shares = [list(Loader(split, 2, shuffle=True, rank=rank, world_size=2)) for rank in range(2)]
    for whole, *parts in zip(alone, *shares, strict=True):
        for rank, part in enumerate(parts):
            width = part.tokens.size(1)
            assert torch.equal(part.tokens, whole.tokens[rank::2, :width])
            assert torch.equal(part.continues, whole.continues[rank::2])


def test_a_resumed_epoch_goes_on_in_its_lanes():
    split = LaneSplit(long_store(), 3)
    whole = list(Loader(split, 3, shuffle=True))
    loader = Loader(split, 3, shuffle=True)
    batches = iter(loader)
    for _ in range(2):
        next(batches)
    resumed = Loader(split, 3, shuffle=True)
    resumed.load_state_dict(loader.state_dict())
    for ours, theirs in zip(resumed, whole[2:], strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
