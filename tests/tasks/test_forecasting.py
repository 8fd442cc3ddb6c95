"""Windows that never look ahead, scales of the training days, and errors next to those of "tomorrow = today"."""

import csv

import numpy as np
import pytest
import torch
from torch import nn

from runner.datamodules.stocks import Stocks, number, window_splits
from runner.errors import UserError
from runner.tasks.forecasting import Forecasting

DAYS, STEPS, VAL, TEST = 60, 5, 10, 8


DRAW = torch.Generator()  # nothing is drawn from it


def table(folder, prices, name="prices.csv", first=0) -> str:
    """Write a table like those of the book: Date, Open, Volume."""
    path = folder / name
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["Date", "Open", "Volume"])
        days = np.datetime64("2013-01-01") + first + np.arange(len(prices))
        writer.writerows([day, f"{price:,.2f}", 1000] for day, price in zip(days, prices, strict=True))
    return str(path)


def stocks(path, **settings) -> Stocks:
    data = Stocks(path=path, **({"num_steps": STEPS, "val_days": VAL, "test_days": TEST} | settings))
    data.setup()
    return data


def prices() -> np.ndarray:
    return 1000 + np.random.default_rng(0).normal(size=DAYS).cumsum().round(2)


@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize("scale", ["minmax", "standard"])
def test_no_value_of_the_test_days_reaches_scale_or_training(tmp_path, scale, ahead) -> None:
    """Change every day of the test split, then of the validation split too: the training data must not change."""
    series = prices()
    before = stocks(table(tmp_path, series), scale=scale, num_targets=ahead)
    for changed in (TEST, TEST + VAL):
        other = series.copy()
        other[-changed:] = other[-changed:] * 7 + 999
        after = stocks(table(tmp_path, other, "other.csv"), scale=scale, num_targets=ahead)
        assert (
            after.state()["inputs"] == before.state()["inputs"]
            and after.state()["targets"] == before.state()["targets"]
        )
        everything = torch.arange(len(before.train))
        for one, two in zip(
            before.train.gather(everything, DRAW),
            after.train.gather(everything, DRAW),
            strict=True,
        ):
            assert torch.equal(one, two)
        if changed == TEST:
            everything = torch.arange(len(before.val))
            for one, two in zip(
                before.val.gather(everything, DRAW),
                after.val.gather(everything, DRAW),
                strict=True,
            ):
                assert torch.equal(one, two)
        assert not torch.equal(
            before.test.gather(torch.tensor([0]), DRAW)[1],
            after.test.gather(torch.tensor([0]), DRAW)[1],
        )


def test_windows_end_where_their_targets_begin(tmp_path) -> None:
    series = prices()
    data = stocks(table(tmp_path, series), num_targets=2)
    for part, first, end in (
        ("train", STEPS, DAYS - VAL - TEST),
        ("val", DAYS - VAL - TEST, DAYS - TEST),
        ("test", DAYS - TEST, DAYS),
    ):
        rows, targets = data.raw(part, 1000), data.targets_of(part)
        assert len(rows) == len(targets) == end - first - 1  # two days ahead have to fit in
        for place, (row, target) in enumerate(zip(rows, targets, strict=True)):
            day = first + place
            np.testing.assert_allclose(row["window"][:, 0], series[day - STEPS : day], atol=1e-9)
            np.testing.assert_allclose(target, series[day : day + 2], atol=1e-9)


def test_scales(tmp_path) -> None:
    path = table(tmp_path, prices())
    seen = prices()[: DAYS - VAL - TEST]
    minmax = stocks(path)
    np.testing.assert_allclose([minmax.inputs.mean[0], minmax.inputs.std[0]], [seen.min(), np.ptp(seen)])
    inputs, targets = minmax.train.gather(torch.arange(len(minmax.train)), DRAW)
    assert inputs.min() == 0 and targets.max() <= 1
    standard = stocks(path, scale="standard")
    np.testing.assert_allclose([standard.target_mean[0], standard.target_std[0]], [seen.mean(), seen.std()], rtol=1e-5)
    encoded = minmax.encode(minmax.raw("train", 3))[0]
    torch.testing.assert_close(encoded, inputs[:3])


def test_several_files_follow_one_another(tmp_path) -> None:
    series = prices()
    whole = stocks(table(tmp_path, series))
    two = [table(tmp_path, series[:40], "a.csv"), table(tmp_path, series[40:], "b.csv", first=40)]
    parts = stocks(two)
    assert np.array_equal(whole.targets_of("test"), parts.targets_of("test")) and parts.source.endswith("b.csv")
    with pytest.raises(UserError, match="oldest first"):
        stocks(two[::-1])


class Repeats(nn.Module):
    """Says the last value of the window for every day ahead."""

    def __init__(self, ahead: int):
        super().__init__()
        self.ahead, self.channel = ahead, 1
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, windows):
        return windows[:, -1, self.channel : self.channel + 1].repeat(1, self.ahead)


def test_naive_forecast_and_units(tmp_path) -> None:
    """A net that repeats the last price has the errors of "tomorrow = today", in dollars, computed by hand."""
    data = stocks(table(tmp_path, prices()), features=["Volume", "Open"], num_channels=2, num_targets=3)
    task = Forecasting(Repeats(3), num_outputs=3)
    task.connect(data)
    task.on_validation_epoch_start()
    for rows in torch.arange(len(data.test)).split(4):
        task.evaluation_step(data.test.gather(rows, DRAW))
    metrics = {name: float(value) for name, value in task.metrics.compute().items()}
    metrics |= {name: float(value) for name, value in task.naive.compute().items()}
    series = prices()
    errors = np.array([series[day : day + 3] - series[day - 1] for day in range(DAYS - TEST, DAYS - 2)])
    assert metrics["naive_rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-3)
    assert metrics["naive_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-3)
    assert metrics["rmse"] == pytest.approx(metrics["naive_rmse"], rel=1e-4)
    assert metrics["mae"] == pytest.approx(metrics["naive_mae"], rel=1e-4)
    assert {"forecast", "predicted_against_actual"} <= set(task.figures())
    assert data.target_names == ["Open+1", "Open+2", "Open+3"]


def test_window_splits_share_no_day_to_predict() -> None:
    splits = window_splits(days=40, steps=4, ahead=3, val_days=6, test_days=5)
    days = [{first + 4 + ahead for first in part for ahead in range(3)} for part in splits]
    assert days == [set(range(4, 29)), set(range(29, 35)), set(range(35, 40))]


def test_packaged_prices() -> None:
    data = Stocks()
    data.setup()
    assert data.train.gather(torch.tensor([0]), DRAW)[0].shape == (1, 60, 1)
    assert data.raw("train", 1)[0]["window"][0, 0] == 100.01  # Google's first day, 19 August 2004
    assert len(data.train) == 2148 - 250 - 60 and len(data.val) == len(data.test) == 125


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"column": "Close"}, "data.features"),
        ({"symbol": "GOOGL"}, "data.symbol is one of"),
        ({"scale": "log"}, "minmax or standard"),
    ],
)
def test_settings_that_are_refused(settings, message) -> None:
    with pytest.raises(UserError, match=message):
        Stocks(**settings)


def test_tables_that_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="There are 12 days, and at least 24 are needed"):
        stocks(table(tmp_path, prices()[:12]))
    with pytest.raises(UserError, match=r'no column "Opne".*Did you mean "Open"'):
        stocks(table(tmp_path, prices()), column="Opne", features=["Opne"])
    with pytest.raises(UserError, match="is not a number"):
        number("null", "row 3")
    assert number("1,008.64", "row 3") == 1008.64
