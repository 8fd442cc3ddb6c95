"""Changed images: moves, turns, bends, patches."""

import pytest
import torch

from runner.augment import Augmentation
from runner.augment.images import Elastic, Erase, Rotate, Shift
from runner.datamodules.parts.batches import Images
from runner.errors import UserError


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


@pytest.mark.parametrize("step", [Shift(), Rotate(), Elastic(), Erase()])
def test_no_images(step, tokens):
    with pytest.raises(UserError, match="Leave augment=images out"):
        step(tokens)


def test_the_target_stays(images):
    batch = Augmentation({"shift": Shift(2), "erase": Erase(1.0)})(Images(images, torch.arange(40)))
    assert isinstance(batch, Images) and not torch.equal(batch.images, images)
    assert torch.equal(batch.target, torch.arange(40))
