"""Images on the page of `runner demo`: what is drawn on a pad, and what generators draw."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pads import drawn, sent
from small_runs import untrained

from runner.errors import UserError
from runner.inference import drawings


def test_a_drawing_arrives_as_it_was_sent() -> None:
    assert np.array_equal(drawings.opened(sent(drawn())), drawn())
    clear = np.zeros((5, 5, 4), np.uint8)  # nothing, which is transparent, is paper
    assert (drawings.opened(sent(clear)) == 255).all()


@pytest.mark.parametrize(
    "sent_instead",
    [None, 3, "", "x", sent(drawn())[:500], "data:image/png;base64,!!", "data:image/jpeg;base64,AAAA", "x" * 3_000_000,
     sent(np.zeros((1, 3000), np.uint8))],
    ids=["none", "number", "empty", "text", "cut", "base64", "jpeg", "long", "wide"],
)  # fmt: skip
def test_anything_else_is_refused(sent_instead) -> None:
    with pytest.raises(UserError, match="the drawing"):
        drawings.opened(sent_instead)


def test_a_drawing_is_sized_and_placed_as_a_digit_of_mnist() -> None:
    image = drawings.fitted_image(drawn(), 28, 28)
    assert image.shape == (28, 28) and image.max() > 200
    rows, columns = (np.flatnonzero((image > drawings.FAINT).any(axis=axis)) for axis in (1, 0))
    assert rows[-1] - rows[0] + 1 in (19, 20)  # the higher side, proportions are kept
    assert 10 <= columns[-1] - columns[0] + 1 <= 16
    share = image / image.sum()
    assert [(share.sum(axis=1 - axis) * np.arange(28)).sum() for axis in (0, 1)] == pytest.approx([13.5, 13.5], abs=0.6)
    assert np.array_equal(drawings.fitted_image(drawn(40), 28, 28), image), "wherever it was drawn"
    assert np.array_equal(drawings.fitted_image(drawn(), 28, 28, bright=False), 255 - image)
    dot = np.full((280, 280), 255)
    dot[3, 3] = 0
    assert drawings.fitted_image(dot, 28, 28).shape == (28, 28)
    with pytest.raises(UserError, match="the pad is empty"):
        drawings.fitted_image(np.full((280, 280), 255), 28, 28)


def test_a_classifier_answers_a_drawing(tmp_path: Path) -> None:
    model = untrained(tmp_path, "softmax_regression", "data=mnist_5k")
    assert drawings.sees_images(model) and not drawings.makes_images(model)
    answer = drawings.of_image(model, drawings.seen_image(model, drawn()))
    assert answer.probabilities.keys() == set("0123456789") and answer.label in answer.probabilities


def test_codes_are_places_of_a_plane_and_drawings_are_recovered(tmp_path: Path) -> None:
    model = untrained(tmp_path, "vae")
    assert drawings.sees_images(model) and drawings.has_plane(model) and not drawings.classes_told(model)
    middle, corner = drawings.on_plane(model, 0, 0), drawings.on_plane(model, 3, -3.0)
    assert middle.shape == (28, 28) and not np.array_equal(middle, corner)
    assert np.allclose(middle, model.task.decoded(torch.zeros(1, 2))[0, 0])
    assert drawings.recovered(model, drawings.seen_image(model, drawn())).shape == (1, 28, 28)
    assert drawings.drawn_images(model, 5).shape == (56, 84)
    for place in (3.1, None, "0", float("nan")):
        with pytest.raises(UserError, match="the place is a number from -3 to 3"):
            drawings.on_plane(model, 0, place)


def test_a_net_that_is_told_the_class_is_told_it(tmp_path: Path) -> None:
    model = untrained(tmp_path, "vae", "model.conditional=true")
    assert drawings.classes_told(model) == list("0123456789")
    three, four = (drawings.on_plane(model, 0, 0, told) for told in "34")
    assert not np.array_equal(three, four)
    with pytest.raises(UserError, match="the class is one of 0, 1"):
        drawings.on_plane(model, 0, 0, "ten")


def test_the_way_between_two_seeds_begins_and_ends_at_them(tmp_path: Path) -> None:
    model = untrained(tmp_path, "gan")
    assert drawings.makes_images(model) and not drawings.has_plane(model) and not drawings.sees_images(model)
    ends = [drawings.side_by_side(drawings.made_of(model, drawings.drawn_codes(model, 1, seed))) for seed in (1, 2)]
    for share, end in zip((0, 1), ends, strict=True):
        assert np.array_equal(drawings.between(model, 1, 2, share), end)
    assert not np.array_equal(drawings.between(model, 1, 2, 0.5), ends[0])
    with pytest.raises(UserError, match="the number of images is a whole number from 1 to 100, received 101"):
        drawings.drawn_images(model, 101)
    assert drawings.enlarged(ends[0]).dtype == np.uint8 and drawings.enlarged(ends[0]).shape[0] >= 300
