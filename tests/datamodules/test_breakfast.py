"""Breakfast bills."""

from runner.datamodules.breakfast import Breakfast


def test_breakfast_keeps_its_order():
    data = Breakfast(batch_size=1)
    data.setup()
    for _ in range(2):
        assert [bill.item() for _, bill in data.train_dataloader()] == [850, 1050, 950, 1650, 1350]
