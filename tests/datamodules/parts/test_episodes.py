"""Episodes: which classes and which examples they are made of, and that the same are drawn again."""

import numpy as np
import torch

from runner.datamodules.parts.batches import Features, Loader, TensorSplit
from runner.datamodules.parts.episodes import EpisodeSplit

CLASSES = np.array([0] * 6 + [1] * 4 + [2] * 9 + [3] * 3 + [4] * 20)


def split(size: int = 40, kept: tuple[int, ...] = (0, 1, 2, 3), way: int = 3, shots: int = 2) -> EpisodeSplit:
    numbers = torch.arange(len(CLASSES))
    rows = TensorSplit(Features(numbers.float().unsqueeze(1), torch.from_numpy(CLASSES)))
    return EpisodeSplit(rows, CLASSES, kept, way, shots, size)


def test_an_episode_has_different_classes_and_examples_and_the_query_is_none_of_them():
    batch = split().gather(torch.arange(500), torch.Generator().manual_seed(0))
    assert batch.query.shape == (500, 1) and batch.support.shape == (500, 3, 2, 1) and batch.target.shape == (500,)
    rows = batch.support.squeeze(3).long().numpy()
    classes = CLASSES[rows]  # (500, 3, 2)
    assert (classes[:, :, 0] == classes[:, :, 1]).all(), "the examples of a class are of one class"
    assert all(len(set(episode)) == 3 for episode in classes[:, :, 0].tolist())
    assert 4 not in classes, "a class that is not kept is never drawn"
    query = batch.query.squeeze(1).long().numpy()
    assert (CLASSES[query] == classes[np.arange(500), batch.target.numpy(), 0]).all()
    every = np.concatenate([rows.reshape(500, -1), query[:, None]], axis=1)
    assert all(len(set(episode)) == 7 for episode in every.tolist())


def test_classes_and_places_are_equally_likely():
    batch = split().gather(torch.arange(4000), torch.Generator().manual_seed(1))
    share = np.bincount(CLASSES[batch.query.squeeze(1).long().numpy()], minlength=4) / 4000
    assert np.abs(share - 0.25).max() < 0.03, "a class with many examples is drawn no more often"
    assert np.abs(np.bincount(batch.target.numpy()) / 4000 - 1 / 3).max() < 0.03


def test_a_resumed_epoch_draws_the_same_episodes():
    whole = list(Loader(split(), 8, shuffle=True, seed=3))
    stopped = Loader(split(), 8, shuffle=True, seed=3)
    for number, _ in enumerate(stopped, start=1):
        if number == 2:
            break
    again = Loader(split(), 8, shuffle=True, seed=3)
    again.load_state_dict(stopped.state_dict())
    rest = list(again)
    assert len(rest) == 3
    for one, other in zip(rest, whole[2:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
