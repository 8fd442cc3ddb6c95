"""What the log says about an epoch."""

import pytest
import torch

from runner.training.epoch_line import epoch_line, three_digits


@pytest.mark.parametrize("epoch, monitor, metrics, line", [
    ("epoch 100/100", "val/loss", ["train/accuracy", "train/loss", "val/accuracy", "val/loss", "val/auroc"],
     "epoch 100/100: loss 0.125 val 0.125, accuracy 0.125 val 0.125 best"),
    ("epoch 1/10", "val/balanced_accuracy", ["train/loss", "val/balanced_accuracy", "val/loss"],
     "epoch 1/10: val balanced_accuracy 0.125, loss 0.125 val 0.125 best"),
    ("epoch 1/10", None, ["train/loss_discriminator", "train/loss_generator", "train/of_a_very_long_name"],
     "epoch 1/10: loss_discriminator 0.125, loss_generator 0.125 best"),
])  # fmt: skip
def test_the_line_of_an_epoch_fits_80_columns(epoch, monitor, metrics, line):
    found = epoch_line(epoch, dict.fromkeys(metrics, torch.tensor(0.125)), monitor, " best")
    assert found == line and len("12:00:00 INFO ") + len(found) <= 80
    assert [three_digits(value) for value in (0, 0.00012345, 12.3456, 4321.0)] == [
        "0.000",
        "0.000123",
        "12.346",
        "4.32e+03",
    ]
