"""A run that begins with the weights of another, and parameters that do not move."""

import pytest
import torch
from safetensors.torch import load_file
from small_runs import settings

from runner.errors import UserError
from runner.training.train import train


def test_the_trunk_comes_over_and_stays_frozen(tmp_path, no_figures):
    train(settings("textcnn"), tmp_path / "first")
    cfg = settings("textcnn", f"init_from={tmp_path / 'first'}", "freeze=[embedding*]", "seed=2", "model.num_filters=6")
    train(cfg, tmp_path / "second")
    first, second = (load_file(tmp_path / run / "model" / "weights.safetensors") for run in ("first", "second"))
    (embedding,) = [name for name in first if name.startswith("embedding")]
    assert torch.equal(first[embedding], second[embedding])
    assert any(first[name].shape != second[name].shape for name in first), "the head is another"


def test_what_fits_nothing_is_refused(tmp_path, no_figures):
    train(settings("mlp", "data=iris"), tmp_path / "flowers")
    with pytest.raises(UserError, match="fits no parameter"):
        train(settings("mlp", "freeze=[nothing.*]"), tmp_path / "frozen")
    with pytest.raises(UserError, match="none of its weights fits TextCNN"):
        train(settings("textcnn", f"init_from={tmp_path / 'flowers'}"), tmp_path / "other")
