"""What was answered to each test row, as a run writes it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from recorded_runs import bundle

from runner.tasks.answered_rows import AnsweredRows, class_errors


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_are_kept_in_order_over_batches() -> None:
    kept = AnsweredRows()
    kept.add(torch.tensor([0.5, 0.0]), torch.tensor([1, 0]))
    kept.add(torch.tensor([0.25]), torch.tensor([2]))
    kept.close()
    assert kept.found.tolist() == [[0, 0.5, 1], [1, 0, 0], [2, 0.25, 2]]
    kept.reset()
    kept.close()
    assert kept.found is None


def test_an_error_is_the_probability_of_the_wrong_class() -> None:
    errors, answered = class_errors(torch.tensor([[0.25, 0.75], [0.625, 0.375]]), torch.tensor([1, 1]))
    assert errors.tolist() == [0, 0.625] and answered.tolist() == [1, 0]


@pytest.mark.parametrize("name", ["textcnn", "iris", "tfidf", "csv"])
def test_the_rows_of_a_run_have_its_accuracy(recorded, name) -> None:
    run = bundle(recorded, name).parent
    rows = rows_of(run / "files" / "test_rows.csv")
    right = [row["truth"] == row["label"] for row in rows]
    assert np.mean(right) == pytest.approx(json.loads((run / "metrics.json").read_text())["test/accuracy"])
    assert all((float(row["error"]) == 0) == same for row, same in zip(rows, right, strict=True))


def test_the_rows_of_a_run_have_its_mean_error_and_the_worst_come_first(recorded) -> None:
    run = bundle(recorded, "boston").parent
    rows, worst = (rows_of(run / "files" / f"{name}.csv") for name in ("test_rows", "largest_errors"))
    errors = [float(row["error"]) for row in rows]
    assert np.mean(errors) == pytest.approx(json.loads((run / "metrics.json").read_text())["test/mae"], rel=1e-4)
    assert float(worst[0]["error"]) == max(errors) and {"true_MEDV", "MEDV", "LSTAT"} <= worst[0].keys()
    assert worst[0]["MEDV"] == rows[int(worst[0]["row"])]["MEDV"]
