"""Episodes: which classes and which examples they are made of, and that the same are drawn again."""

import numpy as np
import torch

from runner.datamodules.parts.batches import Features, Images, Loader, TensorSplit
from runner.datamodules.parts.episodes import EpisodeSplit

CLASSES = np.array([0] * 6 + [1] * 4 + [2] * 9 + [3] * 3 + [4] * 20)


def split(kept: tuple[int, ...] = (0, 1, 2, 3), way: int = 3, shots: int = 2, queries: int = 1) -> EpisodeSplit:
    numbers = torch.arange(len(CLASSES))
    rows = TensorSplit(Features(numbers.float().unsqueeze(1), torch.from_numpy(CLASSES)))
    return EpisodeSplit(rows, CLASSES, kept, way, shots, queries, 40)


def test_an_episode_has_different_classes_and_examples():
    batch = split(queries=1).gather(torch.arange(500), torch.Generator().manual_seed(0))
    assert batch.query.shape == (500, 3, 1) and batch.support.shape == (500, 3, 2, 1)
    assert batch.target.tolist() == [[0, 1, 2]] * 500
    rows = torch.cat([batch.support.squeeze(3), batch.query], dim=2).long().numpy()  # (500, 3, 3)
    classes = CLASSES[rows]
    assert (classes == classes[:, :, :1]).all(), "all examples of a class are of one class"
    assert all(len(set(episode)) == 3 for episode in classes[:, :, 0].tolist())
    assert 4 not in classes, "a class that is not kept is never drawn"
    assert all(len(set(episode)) == 9 for episode in rows.reshape(500, -1).tolist()), "no example is there twice"


def test_classes_are_equally_likely():
    batch = split(way=2).gather(torch.arange(3000), torch.Generator().manual_seed(1))
    share = np.bincount(CLASSES[batch.query.flatten().long().numpy()], minlength=4) / 6000
    assert np.abs(share - 0.25).max() < 0.02, "a class with many examples is drawn no more often"


def test_several_examples_of_a_class_are_in_question():
    batch = split(kept=(0, 2, 4), queries=4).gather(torch.arange(2), torch.Generator().manual_seed(0))
    assert batch.query.shape == (2, 12, 1) and batch.target[1].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_turned_images_are_classes_of_their_own():
    image = torch.arange(4.0).view(1, 1, 2, 2).expand(12, 1, 2, 2)
    classes = np.array([0] * 6 + [1] * 6)
    rows = TensorSplit(Images(image + 10 * torch.arange(12).view(12, 1, 1, 1), torch.from_numpy(classes)))
    batch = EpisodeSplit(rows, classes, [0, 1], 8, 1, 1, 10, turned=True).gather(
        torch.arange(10), torch.Generator().manual_seed(0)
    )
    assert batch.support.shape == (10, 8, 1, 1, 2, 2)
    for shown, asked in zip(batch.support[0, :, 0], batch.query[0], strict=True):
        assert torch.equal(shown % 10, asked % 10), "both examples of a class are turned alike"
    kinds = {(int(shown.amin() >= 60), *(shown % 10).flatten().tolist()) for shown in batch.support[0, :, 0]}
    assert len(kinds) == 8, "two classes in four positions"


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
