"""Few-shot learning: which classes are never trained on, losses, the comparison without learning, and answers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from small_runs import settings, small
from torch import nn

from runner.augment import Augmentation
from runner.augment.images import Shift
from runner.config.compose import compose
from runner.config.inferred import settle
from runner.datamodules.parts.batches import Images, TensorSplit, Texts
from runner.datamodules.parts.episodes import FewShots
from runner.errors import UserError
from runner.inference.predictor import Predictor
from runner.models.prototypical import Prototypical
from runner.tasks.few_shot import FewShot, nearest
from runner.training.train import train

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.5, 0.0], [1.0, 1.0, 3.0]])


class Says(nn.Module):
    def forward(self, query, support):
        return LOGITS[None]


def batch() -> FewShots:
    return FewShots(torch.zeros(1, 3, 4), torch.zeros(1, 3, 1, 4), torch.arange(3).unsqueeze(0))


def test_losses():
    chosen = FewShot(Says(), 10, way=3).step(batch())
    assert chosen["loss"].item() == pytest.approx(F.cross_entropy(LOGITS, torch.arange(3)).item())
    assert chosen["accuracy"].item() == 1
    pairs = FewShot(Says(), 10, way=3, loss="pairs").step(batch())
    same = torch.eye(3, dtype=torch.bool)
    of_same, of_different = -LOGITS.sigmoid().log()[same].mean(), -(-LOGITS).sigmoid().log()[~same].mean()
    assert pairs["loss"].item() == pytest.approx(((of_same + of_different) / 2).item()), "both kinds weigh the same"


def test_nearest_by_pixels_is_the_nearest_example_of_all():
    draw = torch.Generator().manual_seed(0)
    query, support = torch.rand(30, 2, 1, 4, 4, generator=draw), torch.rand(30, 5, 3, 1, 4, 4, generator=draw)
    apart = (support.numpy()[:, None] - query.numpy()[:, :, None, None]).reshape(30, 2, 5, 3, -1)
    expected = np.square(apart).sum(axis=4).min(axis=3).argmin(axis=2)
    assert nearest(query, support).tolist() == expected.tolist()


def test_nearest_by_words_is_by_those_two_texts_share():
    query = torch.tensor([[[5, 6, 0, 0], [8, 8, 0, 0]], [[9, 9, 9, 9], [0, 0, 0, 0]]])
    support = torch.tensor([[[[7, 8, 0]], [[6, 5, 9]]], [[[9, 0, 0]], [[0, 0, 0]]]])
    assert nearest(query, F.pad(support, (0, 1))).tolist() == [[1, 0], [0, 1]]


class Data:
    """Stands for data of ten classes, of which the last two are rare."""

    is_set_up, split_seed, source = True, 0, "data"
    class_names = tuple(f"class {number}" for number in range(10))

    def __init__(self, rows: int = 200):
        self.targets = np.concatenate([np.arange(rows) % 8, [8, 9]])
        split = TensorSplit(Images(torch.rand(len(self.targets), 1, 4, 4), torch.from_numpy(self.targets)))
        self.train = self.val = self.test = split
        self.sizes = dict.fromkeys(("train", "val", "test"), len(self.targets))

    def targets_of(self, part):
        return self.targets


@pytest.mark.parametrize("val_classes", [0, 2])
def test_new_classes_are_never_trained_on(val_classes):
    task = FewShot(Says(), 10, way=2, new_classes=3, val_classes=val_classes)
    data = Data()
    splits = task.split_by_class(data)
    seen = {
        part: {int(data.targets[row]) for row in split.members.flatten().tolist()} for part, split in splits.items()
    }
    assert len(seen["test"]) == 3 and not seen["test"] & (seen["train"] | seen["val"])
    assert len(seen["train"]) == 5 - val_classes and not {8, 9} & set.union(*seen.values())
    assert bool(seen["val"] & seen["train"]) == (val_classes == 0)
    assert seen == {
        part: {int(data.targets[row]) for row in split.members.flatten().tolist()}
        for part, split in FewShot(Says(), 10, way=2, new_classes=3, val_classes=val_classes)
        .split_by_class(data)
        .items()
    }, "the same classes every time"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"way": 1}, "task.way must be at least 2"),
        ({"loss": "all"}, "task.loss is choice or pairs"),
        ({"way": 6}, "task.new_classes=5 and"),
        ({"train_way": 6}, "6 classes to train on are more than the 10"),
    ],
)
def test_settings_that_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        FewShot(Says(), 10, **settings)


def test_each_example_is_augmented_by_itself():
    task = FewShot(Says(), 10, way=3).train()
    task.augment = Augmentation({"shift": Shift(1)})
    images = torch.rand(2, 3, 1, 1, 6, 6)
    changed = task.on_after_batch_transfer(FewShots(images.squeeze(2), images, torch.zeros(2, 3).long()), 0)
    assert changed.query.shape == (2, 3, 1, 6, 6) and changed.support.shape == images.shape
    assert not torch.equal(changed.support.squeeze(2), changed.query)


def test_texts_cannot_be_turned():
    data = Data()
    data.train = TensorSplit(Texts(torch.ones(len(data.targets), 5).long(), torch.from_numpy(data.targets)))
    with pytest.raises(UserError, match="is for images"):
        FewShot(Says(), 10, way=2, new_classes=2, turned=True).split_by_class(data)


def test_too_few_classes():
    with pytest.raises(UserError, match="train episodes need 5 classes with"):
        FewShot(Says(), 10).split_by_class(Data())


def test_a_text_is_compared_with_the_examples_that_were_kept():
    task = FewShot(Prototypical(vocab_size=9, latent_dim=4, embed_dim=3).eval(), 4, way=2, new_classes=2)
    task.support, task.known = torch.tensor([[[1, 2, 3]], [[4, 5, 0]]]), [0, 2]
    data = SimpleNamespace(class_names=["a", "b", "c"], encode=lambda rows: (torch.tensor([[1, 2, 3, 0, 0]]),))
    (answer,) = task.answer([{"text": "x"}], data)
    assert answer["label"] == "a" and answer["probability_b"] == 0
    assert answer["probability_a"] + answer["probability_c"] == pytest.approx(1)


def test_a_run_from_training_to_answers(tmp_path, no_figures):
    result = train(settings("prototypical", "task.episodes=40", "trainer.max_epochs=1"), tmp_path)
    assert {"test/accuracy", "test/naive_accuracy", "val/loss"} <= set(result)
    predictor = Predictor(tmp_path / "model")
    image = np.zeros((28, 28))
    (answer,) = predictor([{"image": image}])
    assert sum(value for name, value in answer.items() if name != "label") == pytest.approx(1, abs=1e-5)
    features = Predictor(tmp_path / "model", question="features")
    assert all(name.startswith("feature_") for name in next(iter(features([{"image": image}]))))


def test_texts_of_similar_length_need_not_come_together(tmp_path, no_figures):
    rows = [f"{'word ' * (n % 4)}of class {n % 8},{'abcdefgh'[n % 8]}" for n in range(160)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    table = ["data=csv", f"data.path={tmp_path / 'rows.csv'}", "data.text=text", "data.label=label"]
    few = ["task.new_classes=2", "task.way=2", "task.queries=1", "task.episodes=20", "trainer.max_epochs=1"]
    cfg = compose([*small("prototypical"), *table, *few, "data.bucket=true", "trainer.accelerator=cpu"])
    settle(cfg.data)
    OmegaConf.resolve(cfg)
    assert "test/accuracy" in train(cfg, tmp_path / "run")
    cfg.data.short_first = 1
    with pytest.raises(UserError, match=r"data\.short_first sorts rows"):
        train(cfg, tmp_path / "again")
