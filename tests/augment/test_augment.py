"""Changed batches: what may change, what may not, and when."""

import pytest
import torch
from small_runs import KillAt, outcome, resumed, settings, stopped
from torch import nn

from runner.augment import Augmentation
from runner.augment.images import Elastic, Erase, Rotate, Shift
from runner.augment.text import Drop, Swap, Synonyms
from runner.build import build_task
from runner.datamodules.parts.batches import Images
from runner.errors import UserError
from runner.text import SPECIALS, Vocabulary
from runner.training.train import train


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def images() -> torch.Tensor:
    """A bright square in the middle of a dark image, with a corner of its own."""
    images = torch.zeros(40, 2, 16, 20)
    images[:, :, 5:11, 6:14] = 0.5
    images[:, :, 5:7, 6:9] = 1.0
    return images


@pytest.fixture
def tokens() -> torch.Tensor:
    """Texts of all lengths from none to 12 words, all words different."""
    words = torch.arange(2, 2 + 13 * 12).view(13, 12)
    return torch.where(torch.arange(12) < torch.arange(13)[:, None], words, 0)


# Images.


def test_shift_moves_by_whole_pixels(images):
    moved = Shift(2)(images)
    places = set()
    for before, after in zip(images, moved, strict=True):
        found = [
            (down, across)
            for down in range(-2, 3)
            for across in range(-2, 3)
            if torch.equal(torch.roll(before, (down, across), dims=(1, 2)), after)
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 15  # of 25
    assert torch.equal(Shift(0)(images), images)


def test_shift_fills_with_black():
    moved = Shift(3)(torch.ones(50, 1, 8, 8))
    assert set(moved.unique().tolist()) == {0.0, 1.0} and moved.mean() < 0.9


def test_a_quarter_turn(images, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size, device=None: torch.ones(*size))
    square = images[:, :, :, 2:18]
    turned = Rotate(90)(square)
    wanted = [torch.rot90(square, turns, dims=(2, 3)) for turns in (1, -1)]
    assert any(torch.allclose(turned, each, atol=1e-4) for each in wanted)


def test_a_turn_keeps_shapes_also_in_oblong_images(monkeypatch):
    """The brightness of a disc does not change, whatever the sides of the image are."""
    y, x = torch.meshgrid(torch.arange(21) - 10.0, torch.arange(41) - 20.0, indexing="ij")
    disc = ((x**2 + y**2) < 36).float().expand(5, 1, 21, 41)
    turned = Rotate(45)(disc)
    assert (turned - disc).abs().mean() < 0.02
    assert torch.allclose(Rotate(0)(disc), disc, atol=1e-5)


def test_elastic_bends_smoothly(images):
    torch.testing.assert_close(Elastic(strength=0)(images), images, atol=1e-5, rtol=0)
    bent = Elastic(strength=20, smoothness=4)(images)
    assert not torch.allclose(bent[0], bent[1])
    assert 0.01 < (bent - images).abs().mean() < 0.2
    # Each pixel comes from another place nearby: a ramp shows by how much.
    ramp = torch.arange(28.0).expand(30, 1, 28, 28).contiguous()
    moves = (Elastic(strength=20, smoothness=4)(ramp) - ramp)[:, :, 6:22, 6:22]
    assert 0.3 < moves.std() < 1.5
    assert (moves[..., 1:] - moves[..., :-1]).abs().mean() < 0.4 * moves.abs().mean()


def test_erase_covers_a_rectangle_of_some():
    erased = Erase(share=0.5, area=(0.1, 0.2))(torch.full((200, 2, 20, 20), 2.0))
    covered = (erased != 2).all(dim=1)  # (B, H, W)
    share = covered.flatten(1).float().mean(dim=1)
    assert 70 < (share > 0).sum() < 130
    assert 0.08 < share[share > 0].mean() < 0.22 and share.max() < 0.3
    for patch in covered[share > 0]:
        rows, columns = patch.any(dim=1), patch.any(dim=0)
        assert torch.equal(patch, rows[:, None] & columns)  # a full rectangle
    assert erased[erased != 2].min() >= 0 and erased[erased != 2].max() <= 1
    assert torch.equal(Erase(share=0)(erased), erased)


@pytest.mark.parametrize("step", [Shift(1), Rotate(5), Elastic(), Erase(1.0)])
def test_images_keep_shape_and_are_drawn_anew(step, images):
    before = images.clone()
    first, second = step(images), step(images)
    assert first.shape == images.shape and first.dtype == images.dtype and torch.equal(images, before)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    one = step(images)
    torch.manual_seed(5)
    assert torch.equal(one, step(images))


# Texts.


def words(row: torch.Tensor) -> list[int]:
    return row[row != 0].tolist()


def tidy(tokens: torch.Tensor) -> bool:
    """Whether padding stands at the end alone."""
    real = tokens != 0
    return bool((real[:, 1:] <= real[:, :-1]).all())


def test_swap_exchanges_neighbours(tokens):
    swapped = Swap(0.5)(tokens)
    assert tidy(swapped) and not torch.equal(swapped, tokens)
    for before, after in zip(tokens, swapped, strict=True):
        pairs = zip(words(before), words(after), strict=True)
        assert sorted(words(before)) == sorted(words(after))
        assert all(abs(one - other) <= 1 for one, other in pairs)  # no word moves further than one place
    assert torch.equal(Swap(0.0)(tokens), tokens)
    share = (Swap(0.1)(torch.arange(2, 1002).view(1, -1)) != torch.arange(2, 1002)).float().mean()
    assert 0.1 < share < 0.25  # two words an exchange


def test_drop_leaves_out_and_moves_up(tokens):
    dropped = Drop(0.4)(tokens)
    assert tidy(dropped) and dropped.shape == tokens.shape
    for before, after in zip(tokens, dropped, strict=True):
        left = words(after)
        assert left == sorted(left) and set(left) <= set(words(before))
        assert bool(left) == bool(words(before))
    assert (dropped != 0).sum() < 0.8 * (tokens != 0).sum()
    assert ((Drop(1.0)(tokens) != 0).sum(dim=1) == (tokens != 0).any(dim=1)).all()  # one word stays
    assert torch.equal(Drop(0.0)(tokens), tokens)


class Data:
    """Stands for a data module of texts."""

    def __init__(self, *tokens: str):
        self.inputs = type("Inputs", (), {"vocabulary": Vocabulary([*SPECIALS, *tokens])})()


def test_synonyms_come_from_the_table(tmp_path):
    table = tmp_path / "table.txt"
    table.write_text("# of one meaning\ngood fine decent\nbad poor\nnowhere never\n")
    data = Data("good", "bad", "fine", "poor", "film", "decent")
    step = Synonyms(share=1.0, path=str(table))
    step.connect(data)
    number = data.inputs.vocabulary.numbers
    tokens = torch.tensor([[number["good"], number["film"], number["bad"], 0]]).repeat(300, 1)
    found = step(tokens)
    good, film, bad, rest = (set(column.tolist()) for column in found.T)
    assert good == {number["fine"], number["decent"]} and film == {number["film"]}
    assert bad == {number["poor"]} and rest == {0}
    assert not step.state_dict()
    rarely = Synonyms(share=0.2, path=str(table))
    rarely.connect(data)
    assert 0.1 < (rarely(tokens) != tokens)[:, 0].float().mean() < 0.3


def test_the_table_that_comes_along():
    step = Synonyms()
    step.connect(Data("good", "fine", "film", "movie"))
    lines = step.lines()
    assert len(lines) > 50 and all(len(line) > 1 for line in lines)
    assert len({word for line in lines for word in line}) == sum(map(len, lines))  # no word has two meanings


def test_tables_that_are_of_no_use(tmp_path):
    with pytest.raises(UserError, match="no two words of one line"):
        Synonyms().connect(Data("wort"))
    with pytest.raises(UserError, match=r"gone\.txt"):
        Synonyms(path=str(tmp_path / "gone.txt")).connect(Data("good"))
    with pytest.raises(UserError, match="this data has none"):
        Synonyms().connect(type("Data", (), {"inputs": None})())


# Values and data that do not fit.


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Shift(-1),
        lambda: Rotate(-1),
        lambda: Elastic(smoothness=0),
        lambda: Erase(1.5),
        lambda: Erase(area=(0.3, 0.2)),
        lambda: Swap(-0.1),
        lambda: Drop(2),
        lambda: Synonyms(2),
    ],
)
def test_values_that_cannot_be(wrong):
    with pytest.raises(UserError, match=r"augment\."):
        wrong()


@pytest.mark.parametrize("step", [Shift(), Rotate(), Elastic(), Erase()])
def test_no_images(step, tokens):
    with pytest.raises(UserError, match="Leave augment=images out"):
        step(tokens)


@pytest.mark.parametrize("step", [Swap(), Drop(), Synonyms()])
def test_no_texts(step, images):
    with pytest.raises(UserError, match="Leave augment=text out"):
        step(images)


def test_a_language_model_keeps_its_targets_in_step(tmp_path):
    with pytest.raises(UserError, match="word by word"):
        train(settings("char_rnn", "augment=text", "augment.synonyms=null"), tmp_path)


def test_an_estimator_has_no_batches_to_change():
    with pytest.raises(UserError, match="fits without training steps"):
        build_task(settings("tfidf_linear", "augment=text"))


# In a run.


class Count(nn.Module):
    """Counts the batches that pass through it."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x


def test_training_batches_alone_are_changed(tmp_path, monkeypatch):
    count = Count()
    monkeypatch.setattr("runner.build.build_augment", lambda cfg: Augmentation({"count": count}))
    train(settings("mlp"), tmp_path)
    assert count.calls == 3 * 5  # epochs times batches


def test_the_target_stays(images):
    batch = Augmentation({"shift": Shift(2), "erase": Erase(1.0)})(Images(images, torch.arange(40)))
    assert isinstance(batch, Images) and not torch.equal(batch.images, images)
    assert torch.equal(batch.target, torch.arange(40))


RUNS = {
    "images": ["softmax_regression", "data=mnist_5k", "augment=images", "optim=ftrl", "schedule=one_cycle",
               "task.imbalance=[bias,oversample]", "regularise.l1=0.001"],
    "texts": ["textcnn", "augment=text", "optim=rmsprop_nesterov", "schedule=warmup", "task.imbalance=class_weight",
              "regularise.max_norm={output:0.5}", "task.threshold=validation"],
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_a_run_with_everything_resumes_exactly(name, tmp_path, no_figures):
    model, *overrides = RUNS[name]
    cfg = settings(model, *overrides, "callbacks.checkpoint.every_n_steps=2")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    for folder in (whole, halves):
        folder.mkdir()
    train(cfg, whole)
    assert stopped(cfg, halves, KillAt("on_train_batch_end", 8))
    resumed(cfg, halves)
    assert outcome(halves) == outcome(whole)
